"""The notebooks as committed: executed in order, without a blemish, and with words that agree with their outputs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbconvert import ScriptExporter

from tests import notebook_code
from tests.notebook_code import NOTEBOOKS, ROOT, address, cells, code_cells, read, text_of

MEASURED = {  # cells that the benchmarks execute, by their tags
    "best-network": "01_mlp_from_scratch",
    "evaluation-network": "04_mnist_gan",
}

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def outputs_of(path):
    return [output for cell in code_cells(path) for output in cell.outputs]


def prose_of(path):
    return "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def test_there_are_four_notebooks():
    assert [path.stem for path in NOTEBOOKS] == [
        "01_mlp_from_scratch",
        "02_keras_cnn_mnist",
        "03_simple_rnn_cumulative_sum",
        "04_mnist_gan",
    ]


@each_notebook
def test_it_was_executed_once_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_it_shows_no_error_no_warning_and_no_machine_path(path):
    for number, cell in enumerate(code_cells(path), start=1):
        for output in cell.outputs:
            assert output.output_type != "error", f"code cell {number}"
            assert output.get("name") != "stderr", f"code cell {number} wrote to stderr: {output.text}"
        shown = json.dumps(cell.outputs)
        assert not re.search(r"Warning|WARNING|E0000|W0000|I0000|oneDNN|Deprecat", shown), f"code cell {number}"
        assert not re.search(r"/(root|work|home|tmp|Users|content)/|[A-Z]:\\\\", shown), f"code cell {number}"


@each_notebook
def test_it_is_small_and_stores_no_widget_state(path):
    assert path.stat().st_size < 1_000_000
    notebook = read(path)
    assert "widgets" not in notebook.metadata
    assert "widget-view" not in json.dumps(outputs_of(path))
    assert notebook.metadata.kernelspec.name == "python3"
    nbformat.validate(notebook)


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path.stem[:2] != "03"], ids=lambda path: path.stem)
def test_its_outputs_are_of_all_of_mnist(path):
    said = "".join(map(text_of, outputs_of(path)))
    assert "all of MNIST: 60,000 training and 10,000 test images" in said and "embedded sample" not in said


@each_notebook
def test_it_exports_as_a_python_script(path):
    notebook = read(path)
    script, resources = ScriptExporter().from_notebook_node(notebook)
    assert resources["output_extension"] == ".py" and notebook.metadata.language_info.mimetype == "text/x-python"
    compile(script, path.name, "exec")


@each_notebook
def test_the_setup_cell_is_the_same_in_all_four(path):
    (cell,) = cells(path, "setup")
    (first,) = cells(NOTEBOOKS[0], "setup")
    assert cell.source == first.source


@each_notebook
def test_it_opens_with_a_title_a_badge_a_picture_and_what_is_needed(path):
    first, second = read(path).cells[:2]
    assert first.source.startswith("# ")
    name = address().removeprefix("https://github.com/")
    assert f"https://colab.research.google.com/github/{name}/blob/main/notebooks/{path.name}" in first.source
    assert re.search(r"!\[[^\]]{10,}\]\(pictures/", first.source)
    for label in ("**What you will do**", "**What you will learn**", "**What you need**"):
        assert label in second.source


@each_notebook
def test_it_has_the_parts_that_every_notebook_has(path):
    text = prose_of(path).lower()
    for part in ("check it", "what goes wrong", "on your own", "in practice", "further reading"):
        assert re.search(rf"^##+ .*{part}", text, re.MULTILINE), part


@each_notebook
def test_every_figure_carries_its_alt_text(path):
    figures = [output for output in outputs_of(path) if "image/png" in output.get("data", {})]
    assert figures
    assert all(len(figure.metadata.get("image/png", {}).get("alt", "")) > 20 for figure in figures)


@each_notebook
def test_links_within_the_repository_resolve(path):
    text = prose_of(path)
    anchors = {re.sub(r"\s", "-", heading.strip()) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not re.match(r"https?:|mailto:", target):
            assert (path.parent / target.split("#")[0]).exists(), target


@each_notebook
def test_tags_are_those_that_tools_know_and_solutions_are_folded(path):
    known = {"setup", "definitions", "exercise", "solution", "nbval-check-output", "hide-input", "hide-cell", *MEASURED}
    for cell in read(path).cells:
        assert set(cell.metadata.get("tags", [])) <= known
    solutions, exercises = cells(path, "solution"), cells(path, "exercise")
    assert 3 <= len(exercises) <= 4 and len(solutions) == len(exercises)
    for cell in solutions:
        assert cell.metadata.jupyter.source_hidden and cell.metadata.cellView == "form"
        assert any("Right." in text_of(output) for output in cell.outputs)
    for cell in exercises:
        assert any("Not written yet." in text_of(output) for output in cell.outputs)


@pytest.mark.parametrize("tag", MEASURED)
def test_a_cell_that_is_measured_is_in_its_notebook_once(tag):
    assert [path.stem for path in NOTEBOOKS for cell in cells(path, tag)] == [MEASURED[tag]]


@each_notebook
def test_cells_are_short_enough_to_be_read(path):
    for number, cell in enumerate(code_cells(path), start=1):
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= 40, f"code cell {number} has {len(lines)} lines"


@each_notebook
def test_a_cell_tagged_definitions_trains_nothing_and_says_nothing(path):
    for cell in cells(path, "definitions"):
        assert not cell.outputs


# --- prose bound to its numbers ---

NUMBER = r"[-−+]?\d[\d,]*(?:\.\d+)?(?:e[-−+]?\d+)?"


def value(text):
    return float(text.replace(",", "").replace("−", "-"))


def sections(path):
    """(heading, markdown, text outputs) of each part between two headings of the second level."""
    parts = [["", "", ""]]
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            before, *begun = re.split(r"(?m)^## ", cell.source)
            parts[-1][1] += before + "\n\n"
            parts += [[text.partition("\n")[0], text + "\n\n", ""] for text in begun]
        elif cell.cell_type == "code":
            parts[-1][2] += "\n".join(text_of(output) for output in cell.outputs) + "\n"
    return parts


def bold_figures(markdown):
    """The numbers in bold spans, each with whether a per cent sign follows."""
    for span in re.findall(r"\*\*(?!\s)(.+?)(?<!\s)\*\*", re.sub(r"\$[^$]*\$|`[^`]*`", "", markdown)):
        for match in re.finditer(rf"(?<![\w.])({NUMBER})\s*(%?)", span):
            yield span, match[1].rstrip(","), bool(match[2])


def is_shown(figure, per_cent, outputs):
    """Does a number in `outputs` round to `figure`, at the figure's own precision? A whole number must be there as it is."""
    wanted, decimals = value(figure), len(figure.partition(".")[2])
    digits = len(re.sub(r"\D", "", figure.split("e")[0]))
    # a number that is itself rounded to one decimal more may lie on the edge: half a unit is admitted
    admitted = (0.5 * 10.0**-decimals if decimals else 0) + 1e-9

    def rounds_to_it(number):
        return float(f"{number:.{digits - 1}e}") == wanted if "e" in figure else abs(number - wanted) <= admitted

    numbers = [value(number.rstrip(",")) for number in re.findall(rf"(?<![\w.])({NUMBER})", outputs)]
    return any(rounds_to_it(number) or per_cent and rounds_to_it(100 * number) for number in numbers)


@each_notebook
def test_every_bold_figure_is_found_in_the_outputs_of_its_section(path):
    missing = [
        f"{heading}: **{span}**"
        for heading, markdown, outputs in sections(path)
        for span, figure, per_cent in bold_figures(markdown)
        if not is_shown(figure, per_cent, outputs)
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("figure", "per_cent", "outputs", "shown"),
    [
        ("98.9", True, "accuracy 0.9891", True),
        ("98.9", True, "accuracy 98.91 %", True),
        ("98.9", True, "accuracy 0.9801", False),
        ("98.9", False, "accuracy 0.9891", False),
        ("30,000", False, "after 30000 steps", True),
        ("2e-7", False, "error 2.1e-07", True),
        ("2e-7", False, "error 3.1e-07", False),
        ("1.25", False, "1.3", False),
        ("4", False, "a4b 0.4", False),
        ("4", False, "3.9 of them", False),
        ("4", False, "4.4 of them", False),
        ("4", False, "4.0 of them", True),
        ("97", True, "accuracy 0.9703", False),
        ("97", True, "accuracy 0.97", True),
    ],
)
def test_a_bold_figure_is_shown_when_it_is_equal_after_rounding(figure, per_cent, outputs, shown):
    assert is_shown(figure, per_cent, outputs) == shown


def test_bold_words_without_a_digit_promise_nothing():
    assert list(bold_figures("**What you need** is `**4**` and $x**2**$ and **98.9 %** of **1,000**")) == [
        ("98.9 %", "98.9", True),
        ("1,000", "1,000", False),
    ]


# --- code taken from notebooks ---


def test_a_fresh_copy_of_definitions_shares_nothing_with_another():
    one, other = (notebook_code.fresh_definitions("01_mlp_from_scratch") for _ in range(2))
    one.SEED = "changed"
    assert other.SEED != "changed"
    assert notebook_code.definitions("01_mlp_from_scratch") is notebook_code.definitions("01_mlp_from_scratch")


def test_a_tag_that_no_cell_carries_is_named():
    names = notebook_code.definitions("01_mlp_from_scratch")
    with pytest.raises(LookupError, match="cells tagged 'no-such-tag' in 01_mlp_from_scratch.ipynb, found none"):
        notebook_code.run_tagged(names, "no-such-tag")


# --- the setup cell ---


def run_setup(folder, *, colab=False, decoy=None, environment=None):
    """Execute the setup cell twice in a fresh interpreter that starts in `folder`; return it, and where `helpers` came from."""
    (cell,) = cells(NOTEBOOKS[0], "setup")
    fake = "import sys, types; google = types.ModuleType('google'); google.colab = types.ModuleType('google.colab')\n"
    fake += "sys.modules.update({'google': google, 'google.colab': google.colab})\n"
    code = "\n".join([fake if colab else "", cell.source, cell.source, "print(helpers.__file__)"])
    variables = {**os.environ, **(environment or {}), "PYTHONPATH": str(decoy or "")}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=variables, capture_output=True, text=True)
    return done, Path(done.stdout.strip()).parent


@pytest.fixture
def decoy(tmp_path):
    """A folder with another package named helpers."""
    (tmp_path / "installed" / "helpers").mkdir(parents=True)
    (tmp_path / "installed" / "helpers" / "__init__.py").write_text("")
    return tmp_path / "installed"


@pytest.mark.parametrize("folder", [".", "notebooks", "tests/benchmarks"])
def test_the_setup_cell_finds_the_repository_from_any_of_its_folders(folder, decoy):
    done, found = run_setup(ROOT / folder, decoy=decoy)
    assert done.returncode == 0, done.stderr
    assert found == ROOT / "helpers", "another package of that name came first"


def test_outside_its_repository_the_setup_cell_says_what_it_expected(tmp_path):
    done, _ = run_setup(tmp_path)
    assert done.returncode != 0 and "expected the folder helpers" in done.stderr


def test_in_colab_the_setup_cell_clones_the_repository_once(tmp_path, decoy):
    """git's insteadOf points the public address at a small local repository."""
    origin, work = tmp_path / "origin", tmp_path / "content"
    (origin / "helpers").mkdir(parents=True)
    work.mkdir()
    for name in ("__init__.py", "data.py"):
        (origin / "helpers" / name).write_text((ROOT / "helpers" / name).read_text(encoding="utf-8"), encoding="utf-8")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(origin)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True)
    config = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{origin.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": address(),
    }
    for _ in range(2):  # a second notebook on the same machine
        done, found = run_setup(work, colab=True, environment=config, decoy=decoy)
        assert done.returncode == 0, done.stderr
        assert found == (work / "four-networks" / "helpers").resolve()
    assert [path.name for path in work.iterdir()] == ["four-networks"]
