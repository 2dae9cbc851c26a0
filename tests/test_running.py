"""How `pytest` runs the notebooks: the root's conftest.py."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

import conftest
from helpers import data
from tests.conftest import is_missing


def test_pytest_remembers_which_tests_failed_for_its_option_lf(pytestconfig):
    assert "no:cacheprovider" not in pytestconfig.getini("addopts")


def test_a_kernel_gets_a_folder_of_its_own_where_one_can_be_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(conftest, "working_folders", [])
    own = Path(conftest.kernel_folder(str(tmp_path)))
    assert own.parent == tmp_path and own.is_dir() and conftest.working_folders == [str(own)]

    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    assert conftest.kernel_folder(str(tmp_path)) == str(tmp_path) and len(conftest.working_folders) == 1
    assert "Permission denied" in capsys.readouterr().out


def test_a_whole_run_names_the_data_by_an_absolute_path(tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(data, "load_mnist", lambda path: loaded.append(path) or data.Mnist(*[np.zeros(1)] * 4, "all of MNIST"))
    monkeypatch.setattr(data, "DATA_FOLDER", tmp_path / "data")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.chdir(tmp_path)
    cached, own = tmp_path / "keras" / "datasets" / "mnist.npz", tmp_path / "data" / "mnist.npz"
    for file in (cached, own):
        file.parent.mkdir(parents=True)
    cached.touch()
    monkeypatch.setenv("MNIST_PATH", " data/x.npz ")
    assert conftest.whole_mnist() == str(tmp_path / "data" / "x.npz")
    monkeypatch.setenv("MNIST_PATH", "")
    assert conftest.whole_mnist() == str(cached)
    own.touch()
    assert conftest.whole_mnist() == ""
    assert loaded == ["data/x.npz", str(cached), ""]


def test_a_whole_run_on_anything_less_is_refused(tmp_path, monkeypatch):
    for path, reason in (("sample", "expected all of MNIST"), (str(tmp_path / "absent.npz"), "no such file")):
        monkeypatch.setenv("MNIST_PATH", path)
        with pytest.raises(pytest.UsageError, match=reason):
            conftest.whole_mnist()


def test_a_missing_browser_is_a_failure_in_ci_and_skipped_elsewhere(monkeypatch):
    for ci, expected in (("true", pytest.fail.Exception), ("", pytest.skip.Exception)):
        monkeypatch.setenv("CI", ci)
        with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match="no browser") as outcome:
            is_missing("no browser")
        assert outcome.type is expected
