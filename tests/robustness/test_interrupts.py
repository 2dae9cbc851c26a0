"""The kernel is interrupted in the middle of every long cell; the cell is run again, and the notebook goes on to its end."""

from __future__ import annotations

from pathlib import Path

import pytest
from nbclient.exceptions import CellExecutionError
from PIL import Image

from tests.notebook_code import NOTEBOOKS
from tests.robustness.kernels import running, workplace


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_long_cell_can_be_interrupted_and_run_again(path):
    interrupted = []
    with workplace() as folder, running(path, folder) as (run, cells):
        for cell, number in cells:
            try:
                run.run(cell, number, interrupt_soon=True)
            except CellExecutionError as failure:
                assert run.interrupted and failure.ename == "KeyboardInterrupt", f"cell {number}: {failure}"
                interrupted.append(number)
                check_pictures(folder)
                run.run(cell, number)
        check_pictures(folder)
    assert interrupted, "no cell took long enough to be interrupted"


def check_pictures(folder: str) -> None:
    """What stands in images/ under its final name is whole."""
    for picture in Path(folder).glob("images/*.png"):
        with Image.open(picture) as image:
            image.load()
