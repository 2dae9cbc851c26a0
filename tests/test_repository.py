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

from tests.notebook_code import NOTEBOOKS, ROOT, address, read

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def workflow(name):
    return yaml.safe_load(text(f".github/workflows/{name}.yml"))


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


def test_both_readmes_give_two_commands_of_one_line():
    unix, windows = readme_commands()
    assert re.findall(r"```bash\n(.*?)\n```", text("README.ja.md"), re.DOTALL) == unix
    for command, twin, runs in zip(unix, windows, ("sphinx notebooks site", "pytest"), strict=True):
        assert "\n" not in command + twin and "requirements.txt" in command and "requirements.txt" in twin
        assert command.endswith(f"-m {runs}") and f"-m {runs} " in twin


def test_the_workflows_run_the_readmes_test_command():
    (_, unix), (_, windows) = readme_commands()
    runs = {step["run"]: step for step in workflow("tests")["jobs"]["sample"]["steps"] if "run" in step}
    assert unix in runs and windows in runs
    assert runs[windows]["env"]["PY_PYTHON"] == "${{ matrix.python }}", "else py takes the newest Python on the machine"
    marked = re.search(r"<!-- test command -->.*?^(python3 .*?)$", text("README.md"), re.DOTALL | re.MULTILINE)
    assert marked[1] == unix, "what .ci/run takes from the README"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_pin_actions_by_commit_and_may_do_little(path):
    assert workflow(path.stem)["permissions"] == {"contents": "read"}
    for name, job in workflow(path.stem)["jobs"].items():
        more = {"pages": "write", "id-token": "write"} if (path.stem, name) == ("pages", "deploy") else None
        assert job.get("permissions") == more and job["timeout-minutes"] <= 120
        for step in job["steps"]:
            assert "uses" not in step or re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"])
            assert "${{" not in step.get("run", ""), "an expression in a script is an injection"


def test_what_is_published_is_what_the_workflow_built():
    for name, run, action in (("pages", "committed", "upload-pages-artifact"), ("whole", "whole", "upload-artifact")):
        steps = next(iter(workflow(name)["jobs"].values()))["steps"]
        build = next(i for i, step in enumerate(steps) if f"-W --keep-going -D run={run} notebooks site" in step.get("run", ""))
        upload = next(i for i, step in enumerate(steps) if action in step.get("uses", ""))
        assert build < upload and steps[upload]["with"]["path"] == "site"
    assert "mnist.npz" not in text(".github/workflows/whole.yml"), "the weekly run downloads MNIST from its mirrors"


@pytest.mark.skipif(os.name == "nt", reason="CI runs in a Unix shell")
def test_ci_leaves_the_developers_environment_alone(tmp_path):
    """In a checkout whose README's command fails at once, .ci/run fails with it, looks at the tree and removes nothing."""
    folder = tmp_path / "checkout"
    (folder / ".ci").mkdir(parents=True)
    (folder / ".venv").mkdir()
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci" / "run")
    command = "python3 -c 'open(\"left\", \"w\").close(); raise SystemExit(3)'"
    (folder / "README.md").write_text(f"<!-- test command -->\n```bash\n{command}\n```\n")
    (folder / ".gitignore").write_text(".venv\n")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    done = subprocess.run(["bash", ".ci/run"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1 and "left behind in the tree:\n?? left" in done.stdout
    assert sorted(path.name for path in folder.iterdir()) == [".ci", ".git", ".gitignore", ".venv", "README.md"]


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


def test_conda_takes_the_same_packages_in_the_same_ranges():
    packages = yaml.safe_load(text("environment.yml"))["dependencies"]
    (pip,) = [package["pip"] for package in packages if isinstance(package, dict)]
    named = [package for package in packages if isinstance(package, str)] + pip
    conda = {Requirement(package).name: Requirement(package).specifier for package in named}
    assert len(conda) == len(named)
    assert {name: conda[name] for name in conda if name not in ("python", "pip")} == requirements("requirements.txt")


def test_every_python_in_conda_s_range_is_tested():
    pythons = workflow("tests")["jobs"]["sample"]["strategy"]["matrix"]["python"]
    assert pythons == ["3.10", "3.11", "3.12", "3.13"] and "python>=3.10,<3.14" in text("environment.yml")


def test_nothing_can_be_installed_from_the_repository():
    """A package called `helpers` on everybody's path would be a trap."""
    assert not re.search(r"^\[(project|build-system)", text("pyproject.toml"), re.MULTILINE)


def test_the_readme_has_the_notebooks_titles_and_says_what_pictures_show():
    titles = [read(path).cells[0].source.splitlines()[0].removeprefix("# ") for path in NOTEBOOKS]
    assert re.findall(r"\[\*\*(.*?)\*\*\]\(notebooks/", text("README.md")) == titles
    alts = re.findall(r'alt="(.*?)"', text("README.md")) + re.findall(r"^!\[(.*?)\]", text("README.md"), re.MULTILINE)
    assert len(alts) == 5 and all(len(alt) > 60 for alt in alts)


def test_the_citation_names_this_repository():
    citation = yaml.safe_load(text("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["repository-code"] == address() and f"## {citation['version']}" in text("CHANGELOG.md")


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


def test_names_of_tests_have_at_most_70_characters():
    files = [path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/test_*.py")]
    assert [name for text in files for name in re.findall(r"def (test_\w{66,})", text)] == []


# --- the address ---


def test_the_address_is_the_same_wherever_it_stands():
    name = address().removeprefix("https://github.com/")
    for path in [*NOTEBOOKS, ROOT / "README.md", ROOT / "CITATION.cff"]:
        found = re.findall(r"(?:github\.com|google\.com/github)/([\w.-]+/[\w.-]+)", path.read_text(encoding="utf-8"))
        assert found and set(found) == {name}, path.name


def line_that_sets(address):
    """The line of CONTRIBUTING.md that sets the address everywhere."""
    return re.search(r"^git grep .*$", text("CONTRIBUTING.md"), re.MULTILINE)[0].replace("OWNER/NAME", address)


@pytest.mark.skipif(os.name == "nt" or not shutil.which("perl"), reason="a line for a Unix shell")
def test_the_line_in_contributing_sets_the_address_everywhere(tmp_path):
    name = address().removeprefix("https://github.com/")
    files = [path.relative_to(ROOT) for path in (*NOTEBOOKS, ROOT / "README.md", ROOT / "CITATION.cff")]
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / file, tmp_path / file)
    line = line_that_sets("some-one/else.where")
    subprocess.run(["bash", "-c", f"git init --quiet && git add . && {line}"], cwd=tmp_path, check=True)
    for file in files:
        before, after = ((root / file).read_text(encoding="utf-8") for root in (ROOT, tmp_path))
        assert after == before.replace(name, "some-one/else.where") != before, file


def test_on_github_the_address_is_the_one_that_runs_this():
    """In a fork, the notebooks may go on naming the original."""
    here, event = os.environ.get("GITHUB_REPOSITORY"), os.environ.get("GITHUB_EVENT_PATH")
    if not here or (event and json.loads(Path(event).read_text(encoding="utf-8")).get("repository", {}).get("fork")):
        pytest.skip("not in a workflow of the repository itself")
    old = address().removeprefix("https://github.com/")
    assert old == here, f"expected {here}, which runs this, got {old}. This sets it everywhere:\n{line_that_sets(here)}"


def test_links_in_the_texts_resolve():
    for page in [path for path in committed() if path.suffix == ".md"]:
        for target in re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8")):
            if not re.match(r"https?:|mailto:", target):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
