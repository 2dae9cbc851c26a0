"""Tables and a figure of what was measured, and their places in the README files."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from tests.benchmarks.comparisons import COMPARISONS
from tests.benchmarks.harness import NAMED, Comparison, Metric, Values, figure, is_share
from tests.notebook_code import ROOT

BEGIN, END = "<!-- measured by python -m tests.benchmarks -->", "<!-- end of what was measured -->"
HERE = ROOT / "tests" / "benchmarks"
SHORT = {  # what a line of the README says: its comparison, its metric, and sides that have no place in it
    "a perceptron 784-100-10, batches of 32, seconds an epoch": ("mlp-32", "seconds an epoch"),
    "the same in batches of 128": ("mlp-128", "seconds an epoch"),
    "the best perceptron, three seeds, accuracy in %": ("mlp-accuracy", "test accuracy, %"),
    "a convolution 3 × 3, forward, milliseconds": ("conv-forward", "milliseconds"),
    "the same, backward": ("conv-backward", "milliseconds"),
    "the plain convolutional network, seconds an epoch": ("cnn-epoch", "seconds an epoch"),
    "the better one, seconds to 99.0 % of the test images": ("cnn-time", "seconds to 99.0 %"),
    "seconds to 99.5 %": ("cnn-time", "seconds to 99.5 %"),
    "its accuracy in the end, three seeds, in %": ("cnn-time", "test accuracy, %"),
    "the running sum, seconds to an error of 1e-6": ("rnn-time", "seconds to 1e-6"),
    "the GAN, steps a second": ("gan-step", "steps a second"),
    "the GAN's classic run of 30,000 steps, minutes": ("gan-score", "minutes", "the third rung"),
    "the conditional generator, three seeds, digits read as asked in %": ("gan-labels", "read as asked, %"),
}


def middle(found: list[Values], metric: str) -> float | None:
    """The median of a metric over the rounds, the mean of a share; None where a goal was reached in less than half of them."""
    values = [value[metric] for value in found if value.get(metric) is not None]
    if 2 * len(values) <= len(found) and len(values) < len(found):
        return None
    return statistics.fmean(values) if is_share(metric) else statistics.median(values)


def spread(found: list[Values], metric: str) -> str:
    """From the least to the greatest value, and in how many rounds a goal was not reached."""
    values = [value[metric] for value in found if value.get(metric) is not None]
    missed = len(found) - len(values)
    text = f"{figure(min(values), metric)} to {figure(max(values), metric)}" if len(values) > 1 else ""
    return ", ".join(filter(None, [text, f"not reached in {missed} of {len(found)}" if missed else ""]))


def ratio(one: Comparison, metric: Metric, values: dict[str, list[Values]], side: str) -> str:
    """How many times as good ours is: below 1 it is behind."""
    ours, other = middle(values[one.ours], metric.name), middle(values[side], metric.name)
    if not metric.better or side == one.ours or not ours or not other:
        return ""
    times = other / ours if metric.better == "less" else ours / other
    return f"{times:,.0f}" if times >= 99.5 else f"{times:.2g}"


def whole_table(comparisons: dict[str, dict]) -> str:
    """A section for each comparison."""
    parts = []
    for name, one in COMPARISONS.items():
        if name not in comparisons:
            continue
        values = comparisons[name]["values"]
        ours = "ours" if one.ours == "ours" else f"“{one.ours}”"
        parts.append(f"### {one.title}\n\n`{name}`: {one.description}\n")
        for metric in one.metrics:
            sides = [side for side in values if any(metric.name in found for found in values[side])]
            heading = "mean" if is_share(metric.name) else "median"
            columns = [metric.name, heading, "least to greatest", "rounds"]
            compared = bool(metric.better) and len(sides) > 1
            columns += [f"as a multiple of {ours}"] if compared and metric.better == "less" else []
            columns += [f"{ours} as a multiple of it"] if compared and metric.better == "more" else []
            rows = [columns, ["---"] + ["--:"] * (len(columns) - 1)]
            for side in sides:
                found = values[side]
                cells = [side, figure(middle(found, metric.name), metric.name), spread(found, metric.name), str(len(found))]
                rows.append(cells + ([ratio(one, metric, values, side)] if compared else []))
            parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n")
    return "\n".join(parts)


def short_table(comparisons: dict[str, dict]) -> str:
    """One line for each claim."""
    rows = ["| | ours | others |", "| --- | --: | --- |"]
    for line, (name, metric, *elsewhere) in SHORT.items():
        one, values = COMPARISONS[name], comparisons[name]["values"]
        sides = {side: figure(middle(found, metric), metric) for side, found in values.items()}
        others = "; ".join(f"{side}: {value}" for side, value in sides.items() if side not in (one.ours, *elsewhere))
        rows.append(f"| {line} | {sides[one.ours]} | {others} |")
    return "\n".join(rows)


def stamp_line(stamp: dict[str, str], comparisons: dict[str, dict]) -> str:
    """The machine, the versions and the days, in a sentence."""
    dates = sorted({entry["date"] for entry in comparisons.values()})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    versions = ", ".join(f"{name} {stamp[name]}" for name in NAMED)
    machine = f"{stamp['processor']}, {stamp['cores']} cores, {stamp['system']}, Python {stamp['python']}"
    return f"Measured on {when}: {machine}, {versions}."


def put_between(text: str, table: str) -> str:
    """`text` with `table` between its two marks. Raises ValueError if the marks are not there, once each."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"expected the marks {BEGIN} and {END} once each")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.split(END)[1]}"


def pages(results: dict) -> dict[Path, str]:
    """The README files as they are with these results in them."""
    stamp, comparisons = results["stamp"], results["comparisons"]
    line = stamp_line(stamp, comparisons)
    tables = {
        ROOT / "README.md": f"{short_table(comparisons)}\n\n{line}",
        HERE / "README.md": f"{line}\n\n{whole_table(comparisons)}",
    }
    return {path: put_between(path.read_text(encoding="utf-8"), table.strip()) for path, table in tables.items()}


def write_pages() -> None:
    """Put the tables of the results that stand beside this file into the README files."""
    for path, text in pages(json.loads((HERE / "results.json").read_text(encoding="utf-8"))).items():
        part = path.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)


def draw(comparisons: dict[str, dict], path: Path) -> None:
    """Four panels: an epoch of the perceptron, how its time grows, the networks' ways to 99.5 %, and the GAN's score.

    What has not been measured yet is left out.
    """
    import matplotlib.pyplot as plt

    from helpers.plotting import COLOURS, DASHES

    fig, axes = plt.subplots(2, 2, figsize=(11, 8))
    values = {name: entry["values"] for name, entry in comparisons.items()}

    ax = axes[0, 0]
    bars = [(side, middle(found, "seconds an epoch")) for side, found in values.get("mlp-128", {}).items()]
    for place, (side, seconds) in enumerate(bars):
        ax.barh(
            place, seconds, color=COLOURS[1] if side == "ours" else "0.7", hatch="//" if side == "ours" else "", edgecolor="white"
        )
        ax.text(seconds, place, f" {figure(seconds)}", va="center")
    ax.set(title="A perceptron 784-100-10, mini-batches of 128", xlabel="seconds an epoch", xscale="log")
    ax.set_yticks(range(len(bars)), [side for side, _ in bars])
    ax.margins(x=0.2)

    ax = axes[0, 1]
    for place, (name, label) in enumerate(
        {"mlp-batch": "mini-batch", "mlp-width": "hidden nodes", "mlp-images": "images"}.items()
    ):
        sides = values.get(name, {})
        sizes = [float(side.split()[0].replace(",", "")) for side in sides]
        seconds = [middle(found, "seconds an epoch") for found in sides.values()]
        ax.plot(sizes, seconds, marker="osD"[place], color=COLOURS[place], linestyle=DASHES[place], label=label)
    ax.set(title="How the time of our epoch grows with its sizes", xlabel="how many", ylabel="seconds an epoch")
    ax.set(xscale="log", yscale="log")

    ax = axes[1, 0]
    for place, (side, found) in enumerate(values.get("cnn-time", {}).items()):
        for turn, one in enumerate(found):
            seconds, accuracy = zip(*one["curve"])
            mistakes = [100 - value for value in accuracy]
            style = {"color": COLOURS[place], "linestyle": DASHES[place], "marker": "osD"[place], "markersize": 4}
            ax.plot(seconds, mistakes, label=side if not turn else None, **style)
    for goal in (1.0, 0.5):
        ax.axhline(goal, color="0.6", linewidth=0.8, linestyle=":")
    ax.set(title="Mistakes on the test images as training goes on", xlabel="seconds", ylabel="mistakes, per cent", yscale="log")
    ax.set_yticks([0.5, 1, 2, 5])

    ax = axes[1, 1]
    for place, (side, found) in enumerate(values.get("gan-score", {}).items()):
        minutes, scores = zip(*found[0]["curve"])
        ax.plot(minutes, scores, marker="osD"[place], color=COLOURS[place], linestyle=DASHES[place], label=side, markersize=4)
    ax.set(
        title="The GAN's score as training goes on", xlabel="minutes", ylabel="score, less is better", xscale="log", yscale="log"
    )
    ax.set_ylim(top=1000)

    for ax, name in zip(axes.flat, ("mlp-128", "mlp-batch", "cnn-time", "gan-score")):
        if name not in values:  # not measured yet
            ax.remove()
            continue
        if ax.get_legend_handles_labels()[0]:
            ax.legend()
        for axis in (ax.xaxis, ax.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_formatter("{x:g}")
                axis.set_minor_formatter("")
        ax.grid(alpha=0.25, linewidth=0.6, linestyle="-")
    fig.tight_layout()
    part = path.with_name(f".{path.name}")
    fig.savefig(part, format="png", dpi=110)
    plt.close(fig)
    part.replace(path)
