"""A kernel for the robustness tests: a notebook's cells executed one by one, interrupted where the test wants it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
from jupyter_client import KernelManager
from jupyter_core.utils import ensure_event_loop

from tests.notebook_code import ROOT


class CellFailed(AssertionError):
    """A cell ended with an error."""


class Kernel:
    """A running kernel that executes code and returns the messages of its outputs."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.client = manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def run(self, code: str, at_output: Callable[[dict], None] | None = None, timeout: float = 1200) -> list[dict]:
        """Execute `code`; call `at_output` with each message that the cell sends. Raises CellFailed where the cell fails."""
        request, messages, end = self.client.execute(code), [], time.monotonic() + timeout
        while True:
            message = self.client.get_iopub_msg(timeout=max(1.0, end - time.monotonic()))
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            messages.append(message)
            if at_output:
                at_output(message)
        for message in messages:
            if message["msg_type"] == "error":
                raise CellFailed(f"{message['content']['ename']}: {message['content']['evalue']}")
        return messages

    def interrupt(self) -> None:
        """Interrupt the cell that runs; called from a thread of its own."""
        self.manager.interrupt_kernel()
        ensure_event_loop().close()             # the client makes one for each thread, and leaves it open


@contextlib.contextmanager
def kernel(folder: Path, **environment: str) -> Iterator[Kernel]:
    """A fresh kernel that starts in `folder`, on the embedded sample of MNIST."""
    manager = KernelManager(kernel_name="python3")
    variables = {**os.environ, "MNIST_PATH": "sample", **environment}
    manager.start_kernel(cwd=str(folder), env=variables)
    running = Kernel(manager)
    try:
        yield running
    finally:
        running.client.stop_channels()
        manager.shutdown_kernel(now=True)
        ensure_event_loop().close()


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder below notebooks/ for one run, gone afterwards: what a notebook writes never meets what a reader keeps there."""
    folder = Path(tempfile.mkdtemp(prefix=".run-", dir=ROOT / "notebooks"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def code_cells(path: Path) -> list:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def texts(messages: list[dict]) -> str:
    """What a cell says in words: its printed lines, and its lines of progress as they end."""
    shown: dict[str, str] = {}
    for number, message in enumerate(messages):
        content = message["content"]
        if message["msg_type"] == "stream":
            shown[str(number)] = content["text"]
        elif message["msg_type"] in ("display_data", "execute_result", "update_display_data"):
            name = content.get("transient", {}).get("display_id") or str(number)
            shown[name] = content["data"].get("text/plain", "") + "\n"
    return "".join(shown.values())


def without_timings(text: str) -> str:
    """The same text with the numbers masked in every line that speaks of time."""
    timing = re.compile(r"\b(s|ms|µs|seconds?|minutes?|faster|slower|as long|steps a second)\b|×")
    lines = (re.sub(r"\d+(?:[.,]\d+)*", "#", line) if timing.search(line) else line for line in text.splitlines())
    return "\n".join(re.sub(r" +", " ", line) for line in lines)
