"""Every notebook, cell by cell in a kernel of its own: interrupted and run on, run twice, and run where Colab runs it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell
from PIL import Image

from tests.notebook_code import NOTEBOOKS, ROOT, address, read, text_of

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# A folder for one run: what a notebook writes never meets what a reader keeps in notebooks/.
workplace = partial(tempfile.TemporaryDirectory, prefix=".run-", dir=ROOT / "notebooks")


class Run(NotebookClient):
    """A notebook's run; with `interrupt_soon`, a cell is interrupted 0.7 s after it began to report its progress."""

    interrupt_soon = False
    interrupted = None

    def process_message(self, message, cell, cell_index):
        text = message["content"].get("data", {}).get("text/plain", "")
        if self.interrupt_soon and not self.interrupted and text.endswith(" …"):  # a first line of helpers.plotting.Progress
            self.interrupted = asyncio.get_running_loop().call_later(0.7, self.interrupt)
        return super().process_message(message, cell, cell_index)

    def interrupt(self) -> None:
        asyncio.ensure_future(self.km.interrupt_kernel())

    def run(self, cell, number: int, interrupt_soon: bool = False) -> None:
        """Execute a cell. Raises CellExecutionError where it fails or is interrupted."""
        self.interrupt_soon, self.interrupted = interrupt_soon, None
        try:
            self.execute_cell(cell, number)
        finally:
            if self.interrupted:
                self.interrupted.cancel()


@contextlib.contextmanager
def running(path: Path, folder: Path | str, **environment: str) -> Iterator[tuple[Run, list]]:
    """The run of the notebook in `path`, in `folder`, on the embedded sample; and its code cells, numbered."""
    notebook = read(path)
    run = Run(notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    with run.setup_kernel(env={**os.environ, "MNIST_PATH": "sample", **environment}):
        yield run, [(cell, number) for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def check_pictures(folder: str) -> None:
    """What stands in images/ under its final name is whole."""
    for picture in Path(folder).glob("images/*.png"):
        with Image.open(picture) as image:
            image.load()


@each_notebook
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


def without_timings(text: str) -> str:
    """The text, with the numbers masked in every line that speaks of time."""
    timing = re.compile(r"\b(s|ms|µs|seconds?|minutes?|faster|slower|as long|steps a second)\b|×")
    lines = (re.sub(r"\d+(?:[.,]\d+)*", "#", line) if timing.search(line) else line for line in text.splitlines())
    return "\n".join(re.sub(r" +", " ", line) for line in lines)


def text_outputs(path: Path) -> list[str]:
    """What each code cell prints."""
    with workplace() as folder, running(path, folder) as (run, cells):
        for cell, number in cells:
            run.run(cell, number)
        return [without_timings("".join(text_of(output) + "\n" for output in cell.outputs)) for cell, _ in cells]


@each_notebook
def test_two_runs_say_the_same_timings_aside(path):
    first, second = text_outputs(path), text_outputs(path)
    assert sum(map(len, first)) > 500
    for number, (one, other) in enumerate(zip(first, second)):
        assert one == other, f"code cell {number}"


def test_masking_hides_timings_and_nothing_else():
    assert without_timings("training: 500 steps in 3 s, 166 steps a second") == "training: # steps in # s, # steps a second"
    assert without_timings("score 5.20") == "score 5.20"


@each_notebook
def test_the_notebook_clones_its_repository_and_runs_to_its_end(path, tmp_path):
    """As on Colab: in an empty folder, with no repository in reach and another package called `helpers` installed."""
    content, packages, origin = (tmp_path / name for name in ("content", "packages", "origin"))
    content.mkdir()
    for name in ("google/colab", "helpers"):
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").write_text("")
    subprocess.run(["git", "clone", "--quiet", "--bare", str(ROOT), str(origin)], check=True)
    environment = {
        "PYTHONPATH": str(packages),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{origin.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": address(),
    }
    with running(path, content, **environment) as (run, cells):
        first = new_code_cell("import google.colab")  # in Colab it is imported when the kernel starts
        last = new_code_cell(f"assert str(root) == {str(content.resolve() / 'four-networks')!r}, root")
        for cell, number in [(first, 0), *cells, (last, 0)]:
            run.run(cell, number)
    assert {entry.name for entry in content.iterdir()} <= {"four-networks", "images"}
