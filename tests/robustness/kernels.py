"""Notebooks executed cell by cell in a kernel of their own: interrupted, in another folder, twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nbclient import NotebookClient

from tests.notebook_code import ROOT, read, text_of


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

    def run(self, cell, number: int, interrupt_soon: bool = False) -> bool:
        """Execute a cell and return whether it was interrupted. Raises CellExecutionError where it fails."""
        self.interrupt_soon, self.interrupted = interrupt_soon, None
        try:
            self.execute_cell(cell, number)
        finally:
            if self.interrupted:
                self.interrupted.cancel()
        return bool(self.interrupted)


@contextlib.contextmanager
def running(path: Path, folder: Path | str, **environment: str) -> Iterator[tuple[Run, list]]:
    """The run of the notebook in `path`, in `folder`, on the embedded sample; and its code cells, numbered."""
    notebook = read(path)
    run = Run(notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    with run.setup_kernel(env={**os.environ, "MNIST_PATH": "sample", **environment}):
        yield run, [(cell, number) for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def workplace() -> tempfile.TemporaryDirectory:
    """A folder below notebooks/ for one run, gone afterwards: what a notebook writes never meets what a reader keeps there."""
    return tempfile.TemporaryDirectory(prefix=".run-", dir=ROOT / "notebooks")


def said(cell) -> str:
    """What a cell has printed, with the numbers masked in every line that speaks of time."""
    return without_timings("".join(text_of(output) + "\n" for output in cell.outputs))


def without_timings(text: str) -> str:
    timing = re.compile(r"\b(s|ms|µs|seconds?|minutes?|faster|slower|as long|steps a second)\b|×")
    lines = (re.sub(r"\d+(?:[.,]\d+)*", "#", line) if timing.search(line) else line for line in text.splitlines())
    return "\n".join(re.sub(r" +", " ", line) for line in lines)
