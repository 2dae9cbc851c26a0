"""The code that the notebooks define, found by the tags of their cells: for the tests, the benchmarks and the browser."""

from __future__ import annotations

import contextlib
import io
import re
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import nbformat

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    """The notebook in the file `path`."""
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    """All code cells of the notebook in `path`, in order."""
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def cells(notebook: Path | str, tag: str) -> list[nbformat.NotebookNode]:
    """The cells that carry `tag`, in order, of a notebook named by its path, or by its name as in "04_mnist_gan"."""
    path = ROOT / "notebooks" / f"{notebook}.ipynb" if isinstance(notebook, str) else notebook
    return [cell for cell in read(path).cells if tag in cell.metadata.get("tags", [])]


def text_of(output: nbformat.NotebookNode) -> str:
    """What an output of a cell says in text; the alt text of a figure is not counted."""
    if output.output_type == "stream":
        return output.text
    if output.output_type in ("display_data", "execute_result") and "image/png" not in output.data:
        return output.data.get("text/plain", "")
    return ""


def address() -> str:
    """The address of the series, which the setup cell clones: https://github.com/OWNER/NAME."""
    (setup,) = cells(NOTEBOOKS[0], "setup")
    return re.search(r'^REPOSITORY = "(https://github\.com/[\w.-]+/[\w.-]+)"$', setup.source, re.MULTILINE)[1]


def fresh_definitions(name: str) -> SimpleNamespace:
    """A new namespace, in which the cells tagged `definitions` of notebook `name` have been executed.

    Its functions see what is set in it: `names.mnist = ...` is the notebook's `mnist`.
    """
    names = SimpleNamespace(__name__=name)
    run_tagged(names, "definitions")
    return names


@lru_cache
def definitions(name: str) -> SimpleNamespace:
    """What notebook `name` defines; the same namespace at each call, so set nothing in it."""
    return fresh_definitions(name)


def run_tagged(names: SimpleNamespace, tag: str) -> None:
    """Execute, among `names`, the cells of their notebook that carry `tag`; what they print is not shown.

    Raises LookupError if there are none.
    """
    found = cells(names.__name__, tag)
    if not found:
        raise LookupError(f"expected cells tagged {tag!r} in {names.__name__}.ipynb, found none")
    for number, cell in enumerate(found, start=1):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(cell.source, f"{names.__name__}.ipynb, {tag} cell {number}", "exec"), vars(names))
