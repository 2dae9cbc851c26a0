"""What the tests share: the sample of MNIST, and the code that the notebooks define."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import matplotlib
import pytest

from helpers.data import Mnist, load_mnist
from tests import notebook_code
from tests.notebook_code import NOTEBOOKS, ROOT  # noqa: F401  (until every test imports them from there)

matplotlib.use("Agg")


@pytest.fixture(scope="session")
def definitions() -> Callable[[str], SimpleNamespace]:
    return notebook_code.definitions


@pytest.fixture(scope="session")
def sample() -> Mnist:
    return load_mnist("sample")
