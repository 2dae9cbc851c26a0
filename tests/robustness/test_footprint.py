"""The notebooks, run as tests, write nothing into the home folder, leave the tree as it was, and call nobody."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.notebook_code import NOTEBOOKS, ROOT

NO_NETWORK = """
import socket

connect = socket.socket.connect


def only_nearby(self, address):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "localhost", "::1"):
        with open({log!r}, "a") as log:
            log.write(repr(address) + "\\n")
        raise OSError(f"no network in this test: {{address}}")
    return connect(self, address)


socket.socket.connect = only_nearby
"""


def tree():
    """What git sees, ignored files of the working tree included."""
    status = ["git", "-C", str(ROOT), "status", "--porcelain", "--ignored", "--untracked-files=all"]
    lines = subprocess.run(status, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line for line in lines if "__pycache__" not in line and ".pytest_cache" not in line}


def test_the_notebooks_leave_home_and_tree_alone_and_ask_no_network(tmp_path):
    home, site, log = tmp_path / "home", tmp_path / "site", tmp_path / "calls"
    home.mkdir()
    site.mkdir()
    (site / "sitecustomize.py").write_text(NO_NETWORK.format(log=str(log)))
    before = tree()
    names = {"HOME": str(home), "USERPROFILE": str(home), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "pytest", "--quiet", *map(str, NOTEBOOKS)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **names}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert not log.exists(), log.read_text()
    assert [path.name for path in home.iterdir()] == []
    assert tree() == before
