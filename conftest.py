"""How `pytest` runs here: on the embedded sample of MNIST, without a network; with --whole, on all of MNIST."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent
SCRATCH = Path(tempfile.mkdtemp(prefix="four-networks-"))
IMAGES = ROOT / "notebooks" / "images"  # where notebook 04 draws, in its working folder

failed_notebooks: set[str] = set()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="execute the notebooks on all of MNIST")


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--whole"):
        os.environ["MNIST_PATH"] = "sample"
    else:
        from helpers import data

        cached = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets" / "mnist.npz"
        if not os.environ.get("MNIST_PATH") and not (data.DATA_FOLDER / "mnist.npz").exists() and cached.exists():
            os.environ["MNIST_PATH"] = str(cached)  # before Keras's folder is redirected below
        if not data.load_mnist().whole:
            raise pytest.UsageError("expected all of MNIST for --whole: set MNIST_PATH to a copy of mnist.npz")
    # What Jupyter, IPython, Matplotlib and Keras write belongs in a temporary folder, not in the reader's home.
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR", "KERAS_HOME"):
        os.environ[name] = str(SCRATCH / name.lower())
        Path(os.environ[name]).mkdir(exist_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_sessionstart(session: pytest.Session) -> None:
    session.images_before = set(IMAGES.glob("*")) if IMAGES.exists() else None


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(SCRATCH, ignore_errors=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    before = session.images_before
    for path in set(IMAGES.glob("*")) - (before or set()):
        path.unlink()
    if before is None and IMAGES.exists():
        IMAGES.rmdir()


def is_cell(item: pytest.Item) -> bool:
    return type(item).__name__ == "IPyNbCell"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in filter(is_cell, items):
        item.output_timeout = 60  # nbval waits five seconds for an output, which a busy machine may exceed


def pytest_runtest_setup(item: pytest.Item) -> None:
    if is_cell(item) and str(item.path) in failed_notebooks:
        pytest.skip("an earlier cell of this notebook failed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    if is_cell(item) and report.failed:
        failed_notebooks.add(str(item.path))
    return report
