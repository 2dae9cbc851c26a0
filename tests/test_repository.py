"""The files around the notebooks agree with each other: README, requirements, workflows, CI."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.notebook_code import NOTEBOOKS, ROOT, address

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def requirements(name):
    lines = [line.split("#")[0].strip() for line in text(name).splitlines()]
    return {Requirement(line).name: Requirement(line).specifier for line in lines if line}


def committed():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def readme_commands():
    """The lines that the README gives to paste, for Linux and macOS, and for Windows."""
    fences = re.findall(r"```(bash|powershell)\n(.*?)\n```", text("README.md"), re.DOTALL)
    return [[command for shell, command in fences if shell == wanted] for wanted in ("bash", "powershell")]


def test_the_readme_gives_two_commands_of_one_line_and_their_windows_twins():
    unix, windows = readme_commands()
    assert len(unix) == len(windows) == 2
    for command, twin, runs in zip(unix, windows, ("sphinx notebooks site", "pytest"), strict=True):
        assert "\n" not in command + twin and "requirements.txt" in command and "requirements.txt" in twin
        assert command.endswith(f"-m {runs}") and f"-m {runs} " in twin


def test_ci_and_the_workflows_run_the_very_command_that_the_readme_gives():
    (_, unix), (_, windows) = readme_commands()
    jobs = yaml.safe_load(text(".github/workflows/tests.yml"))["jobs"].values()
    runs = [step.get("run", "") for job in jobs for step in job["steps"]]
    assert unix in runs and windows in runs
    extraction = r"<!-- test command -->.*?^(python3 .*?)$"
    assert re.search(extraction, text("README.md"), re.DOTALL | re.MULTILINE)[1] == unix
    assert "<!-- test command -->" in text(".ci/run") and "README.md" in text(".ci/run")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_pin_actions_by_commit_and_may_only_read(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job and job["timeout-minutes"] <= 120
        for step in job["steps"]:
            assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
            assert "${{" not in step.get("run", ""), "an expression in a script is an injection"


def test_the_oldest_versions_are_the_lower_ends_of_the_ranges():
    ranges, oldest = requirements("requirements.txt"), requirements("tests/oldest.txt")
    assert set(ranges) == set(oldest)
    for name, specifier in ranges.items():
        (lower,) = [part.version for part in specifier if part.operator == ">="]
        (pinned,) = [part.version for part in oldest[name]]
        assert pinned.startswith(lower) and specifier.contains(pinned), name
        assert any(part.operator == "<" for part in specifier), f"{name} has no upper end"


def test_colabs_versions_lie_in_the_ranges():
    ranges, colab = requirements("requirements.txt"), requirements("tests/colab.txt")
    for name in set(ranges) & set(colab):
        (pinned,) = [part.version for part in colab[name]]
        assert ranges[name].contains(pinned), name


def test_conda_takes_the_same_file():
    assert {"pip": ["-r requirements.txt"]} in yaml.safe_load(text("environment.yml"))["dependencies"]


def test_python_s_range_is_said_in_one_way_everywhere():
    assert 'requires-python = ">=3.10,<3.14"' in text("pyproject.toml")
    assert "python>=3.10,<3.14" in text("environment.yml")
    assert "Python 3.10 to 3.13" in text("README.md")


def test_no_file_names_a_folder_of_somebodys_machine():
    for path in committed():
        if path.suffix in (".png", ".npz"):
            continue
        content = path.read_text(encoding="utf-8")
        if path.name not in ("run", "test_repository.py"):
            assert "../shared" not in content, path.name
        if path.suffix != ".py":
            assert not re.search(r"(?<![\w.~])/(root|work|home|tmp)/", content), path.name


def test_what_is_made_is_ignored_by_git():
    made = [".venv/x", "site/index.html", "images/a.png", "notebooks/images/a.png", "data/mnist.npz", "data/mnist.bad"]
    done = subprocess.run(["git", "check-ignore", *made], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 128:
        pytest.skip("not a git checkout")
    assert done.stdout.split() == made


# --- the address ---


def moved(folder):
    """A git checkout in `folder` of the files that name the address."""
    for path in [*NOTEBOOKS, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        (folder / path.relative_to(ROOT)).parent.mkdir(exist_ok=True, parents=True)
        shutil.copyfile(path, folder / path.relative_to(ROOT))
    for command in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def test_the_address_is_the_same_wherever_it_stands():
    name = address().removeprefix("https://github.com/")
    for path in [*NOTEBOOKS, ROOT / "README.md"]:
        found = re.findall(r"(?:github\.com|google\.com/github)/([\w.-]+/[\w.-]+)", path.read_text(encoding="utf-8"))
        assert found and set(found) == {name}, path.name


@pytest.mark.skipif(os.name == "nt" or not shutil.which("perl"), reason="a line for a Unix shell")
def test_the_line_in_contributing_sets_the_address_everywhere(tmp_path):
    line = re.search(r"^git grep .*$", text("CONTRIBUTING.md"), re.MULTILINE)[0]
    name = address().removeprefix("https://github.com/")
    folder = moved(tmp_path)
    subprocess.run(["bash", "-c", line.replace("OWNER/NAME", "some-one/else.where")], cwd=folder, check=True)
    for path in folder.rglob("*"):
        if path.suffix in (".md", ".ipynb"):
            before = (ROOT / path.relative_to(folder)).read_text(encoding="utf-8")
            assert path.read_text(encoding="utf-8") == before.replace(name, "some-one/else.where"), path.name


def test_on_github_the_address_is_the_one_that_runs_this():
    """In a fork, the notebooks may go on naming the original."""
    here = os.environ.get("GITHUB_REPOSITORY")
    if not here or is_fork():
        pytest.skip("not in a workflow of the repository itself")
    old = address().removeprefix("https://github.com/")
    line = re.search(r"^git grep .*$", text("CONTRIBUTING.md"), re.MULTILINE)[0].replace("OWNER/NAME", here)
    assert old == here, f"expected {here}, which runs this, got {old}. This sets it everywhere:\n{line}"


def is_fork():
    """Is this a workflow's run in a fork, as far as the event that started it says?"""
    event = os.environ.get("GITHUB_EVENT_PATH")
    return bool(event and json.loads(Path(event).read_text(encoding="utf-8")).get("repository", {}).get("fork"))


def test_links_in_the_texts_resolve():
    for page in [path for path in committed() if path.suffix == ".md"]:
        for target in re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8")):
            if not re.match(r"https?:|mailto:", target):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
