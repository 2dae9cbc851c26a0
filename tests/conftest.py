"""What the tests share: the sample of MNIST, the code that the notebooks define, and a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import pytest

from helpers.data import Mnist, load_mnist
from tests import notebook_code

matplotlib.use("Agg")


@pytest.fixture(scope="session")
def definitions() -> Callable[[str], SimpleNamespace]:
    return notebook_code.definitions


@pytest.fixture(scope="session")
def sample() -> Mnist:
    return load_mnist("sample")


def is_missing(what: str) -> None:
    """Skip the test that needs a browser; in CI, where it must be there, fail."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)


@pytest.fixture(scope="module")  # its event loop runs as long as it is there, which other modules' tests would notice
def browser():
    """Playwright's Chromium, or the system's."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        is_missing("no Playwright: pip install playwright")
    with sync_playwright() as client:
        programs = [client.chromium.executable_path, *map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))]
        found = [program for program in programs if program and Path(program).exists()]
        if not found:
            is_missing("no browser: playwright install chromium")
        browser = client.chromium.launch(executable_path=found[0])
        yield browser
        browser.close()
