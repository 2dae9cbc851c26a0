"""The kernel is interrupted in the middle of every long cell; the cell is run again, and the notebook goes on to its end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from PIL import Image

from tests.notebook_code import NOTEBOOKS
from tests.robustness.kernels import CellFailed, code_cells, kernel, workplace


def is_progress(message: dict) -> bool:
    """The first line of a long piece of work ends in dots (helpers.plotting.Progress)."""
    return message["msg_type"] == "display_data" and message["content"]["data"].get("text/plain", "").endswith(" …")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_long_cell_can_be_interrupted_and_run_again(path):
    interrupted = []
    with workplace() as folder:
        with kernel(folder) as running:
            for number, cell in enumerate(code_cells(path)):
                timers: list[threading.Timer] = []

                def interrupt_soon(message, timers=timers):
                    if is_progress(message) and not timers:
                        timers.append(threading.Timer(0.7, running.interrupt))
                        timers[0].start()

                try:
                    running.run(cell.source, at_output=interrupt_soon)
                except CellFailed as failure:
                    assert timers and str(failure).startswith("KeyboardInterrupt"), f"cell {number}: {failure}"
                    interrupted.append(number)
                    check_pictures(folder)
                    running.run(cell.source)
                finally:
                    for timer in timers:
                        timer.cancel()
                        timer.join()
        check_pictures(folder)
    print(f"{path.stem}: interrupted in cells {interrupted}")
    assert interrupted, "no cell took long enough to be interrupted"


def check_pictures(folder: Path) -> None:
    """What stands in images/ under its final name is whole."""
    for picture in folder.glob("images/*.png"):
        with Image.open(picture) as image:
            image.load()
