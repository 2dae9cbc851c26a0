"""Put the tables of the results into the README files: python -m tests.benchmarks."""

from __future__ import annotations

import re
from pathlib import Path

from tests.benchmarks import cnn, gan, mlp, rnn
from tests.benchmarks.common import RESULTS, cell, read_all, table, write
from tests.notebook_code import ROOT

COMPARISONS = mlp.COMPARISONS | cnn.COMPARISONS | rnn.COMPARISONS | gan.COMPARISONS
SHORT = {  # the rows of the README: comparison and metric
    "A perceptron 784-100-10 in batches of 32, seconds an epoch": ("mlp-32", "seconds an epoch"),
    "A convolution of 32 images over 32 channels, milliseconds": ("conv", "forward, milliseconds"),
    "A GAN of dense layers, steps a second": ("gan-step", "steps a second"),
}


def short_table(results: dict[str, dict]) -> str:
    """A row for each claim of the README."""
    rows = ["| | ours | others |", "| --- | --: | --- |"]
    for row, (name, metric) in SHORT.items():
        sides = {side: cell(found[metric], metric).split(" (")[0] for side, found in results[name]["values"].items()}
        ours = sides.pop("ours")
        rows.append(f"| {row} | {ours} | {'; '.join(f'{side}: {value}' for side, value in sides.items())} |")
    return "\n".join(rows)


def put_between(text: str, made: str) -> str:
    """`text` with `made` between its two marks. Raises ValueError if the marks aren't there, once each and in order."""
    found = re.fullmatch(r"(.*<!-- measured -->\n)(.*)(<!-- end -->.*)", text, re.DOTALL)
    if not found or text.count("<!-- measured -->") != 1 or text.count("<!-- end -->") != 1:
        raise ValueError("expected <!-- measured --> and then <!-- end -->, once each")
    return f"{found[1]}\n{made}\n\n{found[3]}"


def pages() -> dict[Path, str]:
    """The README files as they are with the tables of the results in them."""
    results = read_all()
    made = {ROOT / "README.md": short_table(results), RESULTS.with_name("README.md"): table(COMPARISONS, results)}
    return {path: put_between(path.read_text(encoding="utf-8"), text) for path, text in made.items()}


if __name__ == "__main__":
    for path, text in pages().items():
        write(path, text)
