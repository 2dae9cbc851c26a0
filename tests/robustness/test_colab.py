"""Each notebook runs to its end where Colab runs it: an empty folder, no repository in reach, another `helpers` installed."""

from __future__ import annotations

import subprocess

import pytest
from nbformat.v4 import new_code_cell

from tests.notebook_code import NOTEBOOKS, ROOT, address
from tests.robustness.kernels import running


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_clones_its_repository_and_runs_to_its_end(path, tmp_path):
    content, packages = tmp_path / "content", tmp_path / "packages"
    content.mkdir()
    for name in ("google/colab", "helpers"):
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").write_text("")
    origin = tmp_path / "origin"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(ROOT), str(origin)], check=True)
    environment = {
        "PYTHONPATH": str(packages),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{origin.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": address(),
    }
    with running(path, content, **environment) as (run, cells):
        for cell, number in cells:
            run.run(cell, number)
        where = new_code_cell(f"assert str(root) == {str(content.resolve() / 'four-networks')!r}, root")
        run.nb.cells.append(where)
        run.run(where, len(run.nb.cells) - 1)
    assert {entry.name for entry in content.iterdir()} <= {"four-networks", "images"}
