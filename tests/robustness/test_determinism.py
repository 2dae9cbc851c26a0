"""The same seed gives the same text, twice, on the same machine: each notebook is executed two times on the sample."""

from __future__ import annotations

import pytest

from tests.notebook_code import NOTEBOOKS
from tests.robustness.kernels import running, said, without_timings, workplace


def text_outputs(path):
    with workplace() as folder, running(path, folder) as (run, cells):
        for cell, number in cells:
            run.run(cell, number)
        return [said(cell) for cell, _ in cells]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_two_runs_say_the_same_timings_aside(path):
    first, second = text_outputs(path), text_outputs(path)
    assert sum(map(len, first)) > 500
    for number, (one, other) in enumerate(zip(first, second)):
        assert one == other, f"code cell {number}"


def test_masking_hides_timings_and_nothing_else():
    assert without_timings("training: 500 steps in 3 s, 166 steps a second") == "training: # steps in # s, # steps a second"
    assert without_timings("score 5.20") == "score 5.20"
