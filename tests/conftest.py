"""What the tests share: the sample of MNIST, and the code that the notebooks define, taken from the notebooks themselves."""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import matplotlib
import nbformat
import pytest

from helpers.data import Mnist, load_mnist

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))

matplotlib.use("Agg")


@lru_cache
def notebook_definitions(name: str) -> types.SimpleNamespace:
    """Execute the cells of notebook `name` that are tagged `definitions`, and return what they define."""
    path = ROOT / "notebooks" / f"{name}.ipynb"
    names = types.SimpleNamespace(__name__=name)
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if "definitions" in cell.metadata.get("tags", []):
            exec(compile(cell.source, f"{path.name}, cell {number}", "exec"), vars(names))
    return names


@pytest.fixture(scope="session")
def definitions() -> Callable[[str], types.SimpleNamespace]:
    return notebook_definitions


@pytest.fixture(scope="session")
def sample() -> Mnist:
    return load_mnist("sample")
