"""What the benchmarks share: rounds in turn, medians, results in a JSON file, and tables."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import importlib.util
import io
import json
import os
import platform
import re
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from helpers.data import load_mnist
from helpers.quiet import quiet

RESULTS = Path(__file__).with_name("results.json")
HAS_TORCH = importlib.util.find_spec("torch") is not None


@dataclass(frozen=True)
class Comparison:
    """`sides` prepares programs that do the same work: name → function of the round's number → {metric: value}.

    A value is None where a goal was not reached. The sides named in `once` take part in the first round only.
    """

    title: str
    about: str
    sides: Callable[[], dict[str, Callable[[int], dict]]]
    rounds: int = 5
    once: tuple[str, ...] = ()


class Stopwatch:
    """`seconds` since it was made, without those of the looks; `curve` has [seconds, value] of each look."""

    def __init__(self) -> None:
        self.start, self.curve = time.perf_counter(), []

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.start

    def look(self, measure: Callable[[], float]) -> None:
        """Measure something on the way, off the clock."""
        began = self.seconds
        self.curve.append([began, measure()])
        self.start += self.seconds - began


def machine() -> str:
    """The processor and the versions that a measurement belongs to, as far as they are installed."""
    info = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.*)", info.read_text(encoding="utf-8")) if info.exists() else []
    packages = {"numpy": "numpy", "tensorflow": "tensorflow", "keras": "keras", "sklearn": "scikit-learn", "torch": "torch"}
    installed = [name for module, name in packages.items() if importlib.util.find_spec(module)]
    versions = [f"{name} {importlib.metadata.version(name)}" for name in installed]
    processor = (models or [platform.processor()])[0]
    return ", ".join([processor, f"{os.cpu_count()} cores", platform.system(), f"Python {platform.python_version()}", *versions])


def read_all() -> dict[str, dict]:
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def read_results(name: str) -> dict[str, dict[str, list]]:
    """What was measured for the comparison `name`: side → metric → its value in each round."""
    return read_all()[name]["values"]


def keep_results(name: str, values: dict[str, dict[str, list]]) -> None:
    """Keep what was measured for the comparison `name`, with the day and the machine."""
    entry = {"date": datetime.date.today().isoformat(), "machine": machine(), "values": values}
    text = json.dumps({**read_all(), name: entry}, indent=1, ensure_ascii=False)
    write(RESULTS, re.sub(r"\[[^][{}]*\]", lambda numbers: " ".join(numbers[0].split()), text) + "\n")


def write(path: Path, text: str) -> None:
    """Write under a temporary name, then rename: what stands under `path` is always whole."""
    path.with_suffix(".part").write_text(text, encoding="utf-8")
    os.replace(path.with_suffix(".part"), path)


def measure(name: str, one: Comparison, keep: bool = True) -> dict[str, dict[str, list]]:
    """Measure all sides in turn, round by round. An interrupted run goes on, on the same machine, after its last whole round."""
    kept = read_all().get(name, {"machine": "", "values": {}})
    done = max((len(found) for side in kept["values"].values() for found in side.values()), default=0)
    goes_on = keep and kept["machine"] == machine() and done < one.rounds
    values, first = (kept["values"], done) if goes_on else ({}, 0)
    with contextlib.redirect_stdout(io.StringIO()), quiet():  # what libraries say while they are imported
        sides = one.sides()
    for turn in range(first, one.rounds):
        for side, work in sides.items():
            if turn and side in one.once:
                continue
            with contextlib.redirect_stdout(io.StringIO()):
                result = work(turn)
            for metric, value in result.items():
                values.setdefault(side, {}).setdefault(metric, []).append(value)
            print(f"{name}, round {turn + 1} of {one.rounds}, {side}: {result}", flush=True)
        if keep:
            keep_results(name, values)
    return values


def cell(values: list[float | None], metric: str) -> str:
    """The median, of a share in per cent the mean, and the range; "not reached" where most rounds missed their goal."""
    share = metric.endswith(", %")
    reached = sorted(value for value in values if value is not None)
    if 2 * len(reached) <= len(values):
        return "not reached"
    middle = statistics.fmean(reached) if share else statistics.median(reached)
    shown = [f"{float(f'{value:.{4 if share else 3}g}'):,g}" for value in (middle, reached[0], reached[-1])]
    missed = f", not reached in {len(values) - len(reached)} of {len(values)}" if None in values else ""
    return shown[0] if len(values) == 1 else f"{shown[0]} ({shown[1]} to {shown[2]}{missed})"


def table(comparisons: dict[str, Comparison], results: dict[str, dict]) -> str:
    """For each comparison a section with a row for each side and a column for each metric; then where and when."""
    parts, measured = [], {}
    for name, one in comparisons.items():
        values = results[name]["values"]
        metrics = [metric for metric in next(iter(values.values())) if metric not in ("curve", "steps")]
        rows = [["", *metrics], ["---"] + ["--:"] * len(metrics)]
        rows += [[side, *(cell(found[metric], metric) for metric in metrics)] for side, found in values.items()]
        parts += [f"### {one.title}", f"`{name}`: {one.about}", "\n".join(f"| {' | '.join(row)} |" for row in rows)]
        measured.setdefault(f"{results[name]['date']}, {results[name]['machine']}", []).append(f"`{name}`")
    return "\n\n".join(parts + [f"Measured {when}: {', '.join(names)}." for when, names in measured.items()])


def main(comparisons: dict[str, Comparison]) -> None:
    """The command of one script: measure, keep the results, print the tables."""
    parser = argparse.ArgumentParser(description="Measure one notebook's claims beside its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which comparisons, if not all: {', '.join(comparisons)}")
    parser.add_argument("--quick", action="store_true", help="one round on the embedded sample, of which nothing is kept")
    options = parser.parse_args()
    if unknown := set(options.names) - set(comparisons):
        parser.error(f"expected names among {', '.join(comparisons)}; got {', '.join(sorted(unknown))}")
    if options.quick:
        os.environ["MNIST_PATH"] = "sample"
    elif not load_mnist().whole:
        parser.error("expected all of MNIST, for which the claims are made: set MNIST_PATH to a copy of mnist.npz")
    warnings.simplefilter("ignore")
    chosen = {name: comparisons[name] for name in options.names or comparisons}
    for name, one in chosen.items():
        values = measure(name, replace(one, rounds=1) if options.quick else one, keep=not options.quick)
        print(table({name: one}, {name: {"date": "now", "machine": machine(), "values": values}}), "\n")
