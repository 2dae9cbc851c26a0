"""How `pytest` runs here: on the embedded sample of MNIST, without a network; with --whole, on all of MNIST."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import nbval.plugin
import pytest

from helpers import data

SCRATCH = Path(tempfile.mkdtemp(prefix="four-networks-"))

failed_notebooks: set[str] = set()
working_folders: list[str] = []


def kernel_folder(notebooks: str | None) -> str | None:
    """A new folder below `notebooks` for a kernel to run in, so that what it writes never meets what a reader keeps there.

    Where `notebooks` can't be written nothing can meet, and the kernel runs there.
    """
    try:
        working_folders.append(tempfile.mkdtemp(prefix=".run-", dir=notebooks))
    except OSError as error:
        print(f"{notebooks} can't be written ({error.strerror}): the kernel runs there, in no folder of its own")
        return notebooks
    return working_folders[-1]


class KernelInAFolderOfItsOwn(nbval.plugin.RunningKernel):
    """nbval's kernel, started in `kernel_folder`."""

    def __init__(self, kernel_name: str, cwd: str | None = None, **options) -> None:
        super().__init__(kernel_name, cwd=kernel_folder(cwd), **options)


nbval.plugin.RunningKernel = KernelInAFolderOfItsOwn


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="execute the notebooks on all of MNIST")


def pytest_configure(config: pytest.Config) -> None:
    os.environ["MNIST_PATH"] = whole_mnist() if config.getoption("--whole") else "sample"
    # What Jupyter, IPython, Matplotlib and Keras write belongs in a temporary folder, not in the reader's home.
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR", "KERAS_HOME"):
        os.environ[name] = str(SCRATCH / name.lower())
        Path(os.environ[name]).mkdir(exist_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def whole_mnist() -> str:
    """What MNIST_PATH should say in the kernels, which run in another folder and with another KERAS_HOME than the reader's."""
    named, cached = os.environ.get("MNIST_PATH", "").strip(), data.keras_cache()
    if not named and not (data.DATA_FOLDER / "mnist.npz").exists() and os.path.exists(cached):
        named = str(cached)
    try:
        mnist = data.load_mnist(named)
    except data.DataError as error:
        raise pytest.UsageError(str(error)) from None
    if not mnist.whole:
        raise pytest.UsageError("expected all of MNIST for --whole: set MNIST_PATH to a copy of mnist.npz")
    return str(data.named_file(named)) if named else ""


def pytest_unconfigure(config: pytest.Config) -> None:
    for folder in (SCRATCH, *working_folders):
        shutil.rmtree(folder, ignore_errors=True)


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
