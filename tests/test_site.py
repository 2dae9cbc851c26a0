"""The site: each notebook becomes a page that needs no network, and a notebook that fails stops the build with its name."""

import os
import re
import shutil
import subprocess
import sys
from functools import lru_cache
from urllib.parse import urlparse

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.notebook_code import NOTEBOOKS, ROOT, address, code_cells, read

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
SETUP = f'REPOSITORY = "{address()}"\nimport sys\nsys.path.insert(0, {str(ROOT)!r})'
FIGURE = """
import matplotlib.pyplot as plt
from helpers.plotting import show
for alt in ("A line that rises, <quickly> & \\"straight\\"", "A line that falls, slowly"):
    fig, ax = plt.subplots()
    ax.plot([1, 2] if "rises" in alt else [2, 1])
    show(fig, alt)
print(6 * 7)
"""


PAD = "from helpers.drawing import drawing_pad\npad = drawing_pad({'even': lambda image: [0.1] * 10})"


def build(source, target, *options, **environment):
    """What `python -m sphinx` says of building `source` into `target`. A warning is an error, be it of a broken link."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "--no-color", *options, str(source), str(target)]
    shown = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}
    return subprocess.run(command, env={**os.environ, **environment}, **shown)


@lru_cache
def page(site, name):
    """The page `name` of the site, parsed."""
    return BeautifulSoup((site / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site with the outputs that are committed."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "notebooks", folder / "site", "-D", "run=committed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in folder.iterdir()] == ["site"], "all that is made lies in the site's folder"
    return folder / "site"


@pytest.fixture
def small(tmp_path):
    """A function that puts a small notebook of these cells in a folder with the site's settings, and gives the folder."""

    def write(*cells, folder=tmp_path / "notebooks"):
        shutil.copytree(ROOT / "notebooks" / "_static", folder / "_static")
        shutil.copyfile(ROOT / "notebooks" / "conf.py", folder / "conf.py")
        (folder / "index.md").write_text("# Small\n\n```{toctree}\n01_mlp_from_scratch\n```\n")
        setup = new_code_cell(SETUP, metadata={"tags": ["setup"]})
        notebook = new_notebook(cells=[new_markdown_cell("# A small one: $x^2$"), setup, *cells])
        notebook.metadata.language_info = {"name": "python"}
        nbformat.write(notebook, folder / NOTEBOOKS[0].name)
        return folder

    return write


@each_notebook
def test_every_picture_of_a_page_has_its_alt_text(site, path):
    outputs = [output for cell in code_cells(path) for output in cell.outputs]
    alts = [output.metadata["image/png"]["alt"] for output in outputs if "image/png" in output.get("data", {})]
    article = page(site, path.stem).select_one("article")
    assert [picture["alt"] for picture in article.select("div.cell_output img")] == alts
    assert all(len(picture["alt"]) > 20 for picture in article("img"))


@each_notebook
def test_setup_and_solutions_are_folded_and_exercises_open(site, path):
    cells = {tag: page(site, path.stem).select(f"div.cell.tag_{tag}") for tag in ("setup", "solution", "exercise")}
    assert len(cells["setup"]) == 1 and len(cells["solution"]) == len(cells["exercise"]) >= 3
    for cell in cells["setup"] + cells["solution"]:
        (folded,) = cell.select("details")
        assert not folded.has_attr("open") and folded.select("div.cell_input")
        assert cell.select("div.cell_output") == folded.select("div.cell_output"), "the outputs are folded too"
    for cell in cells["solution"]:
        assert "Right." in cell.get_text()
    for cell in cells["exercise"]:
        assert not cell.select("details") and "Not written yet." in cell.get_text()


def test_nothing_is_fetched_from_another_host(site):
    elsewhere = re.compile(r"""@import\s+[\w(]*["']?(https?:)?//|url\(["']?(https?:)?//""")
    pages = list(site.glob("*.html"))
    assert len(pages) >= 6
    for path in pages:
        soup = page(site, path.stem)
        fetched = [tag.get("src") or tag.get("href") for tag in soup(["script", "img", "iframe", "link"])]
        assert [url for url in fetched if url and urlparse(url).netloc] == [], path.name
    for path in site.rglob("*.css"):
        assert not elsewhere.search(path.read_text(encoding="utf-8")), path.name


@each_notebook
def test_links_to_files_lead_to_the_repository(site, path):
    links = [link["href"] for link in page(site, path.stem).select("article a[href]")]
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(\.\./([^)]*)\)", text):
        assert f"{address()}/blob/main/{target}" in links


@each_notebook
def test_the_badge_and_the_launch_button_open_the_notebook_in_colab(site, path):
    soup = page(site, path.stem)
    repository = address().removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/{path.name}"
    (badge,) = soup.select(f'article section a[href="{colab}"]')
    assert badge.get_text() == "Open in Colab" and not badge.select("img")
    assert soup.select(f'.article-header-buttons a[href="{colab}"]')


def test_the_first_page_has_the_notebooks_titles_on_its_cards(site):
    cards = page(site, "index").select(".sd-card")
    titles = [read(path).cells[0].source.splitlines()[0].removeprefix("# ") for path in NOTEBOOKS]
    assert [card.select_one(".sd-card-title").get_text(strip=True) for card in cards] == titles
    assert [card.select_one("a")["href"] for card in cards] == [f"{path.stem}.html" for path in NOTEBOOKS]
    assert all(len(card.select_one("img")["alt"]) > 40 for card in cards)


def test_a_notebook_is_executed_and_stays_as_it_was(small, tmp_path):
    writes = "import os\nopen('left', 'w').close()\nprint(os.environ['MNIST_PATH'])"
    folder = small(new_code_cell(FIGURE), new_code_cell(writes))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = build(folder, tmp_path / "site", MNIST_PATH="/nowhere/mnist.npz")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "01_mlp_from_scratch: cell 3 of 4" in done.stdout
    article = page(tmp_path / "site", "01_mlp_from_scratch").select_one("article")
    assert [picture["alt"] for picture in article("img")] == [
        'A line that rises, <quickly> & "straight"',
        "A line that falls, slowly",
    ]
    outputs = [output.get_text(strip=True) for output in article.select("div.cell_output")]
    assert outputs[0] == "42" and outputs[1].endswith("sample"), "without run=whole, MNIST is the sample"
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_of_a_widget_the_page_shows_the_sentence_in_its_place(small, tmp_path):
    done = build(small(new_code_cell(PAD)), tmp_path / "site")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = (tmp_path / "site" / "01_mlp_from_scratch.html").read_text(encoding="utf-8")
    assert "A pad to draw a digit on appears here" in shown and "widget-state" not in shown


def test_a_cell_that_fails_stops_the_build_and_is_shown(small, tmp_path):
    folder = small(new_code_cell("1 / 0"))
    done = build(folder, tmp_path / "site")
    assert done.returncode != 0
    assert "01_mlp_from_scratch.ipynb stopped" in done.stderr and "1 / 0" in done.stderr and "ZeroDivisionError" in done.stderr
    assert not (tmp_path / "site" / "01_mlp_from_scratch.html").exists()
    assert not list(folder.glob(".run-*"))


def test_a_kernel_that_dies_stops_the_build_and_is_named(small, tmp_path):
    done = build(small(new_code_cell("import os\nos._exit(1)")), tmp_path / "site")
    assert done.returncode != 0 and "01_mlp_from_scratch.ipynb stopped: its kernel died" in done.stderr


def test_a_run_that_does_not_exist_is_refused(small, tmp_path):
    done = build(small(), tmp_path / "site", "-D", "run=full")
    assert done.returncode != 0 and "expected run=sample, run=whole or run=committed, got run=full" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_folder_that_the_terminal_cannot_print_is_no_obstacle(small, tmp_path, encoding):
    folder = small(new_code_cell("print(6 * 7)"), folder=tmp_path / "数字" / "notebooks")
    done = build(folder, tmp_path / "数字" / "site", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "42" in page(tmp_path / "数字" / "site", "01_mlp_from_scratch").select_one("article").get_text()


def test_the_documented_command_executes_a_notebook_in_place(small):
    """Of the run, only the outputs stay: no widget, no timing, no version."""
    path = small(new_code_cell(PAD), new_code_cell("print(6 * 7)")) / NOTEBOOKS[0].name
    config = f"--config={ROOT / 'notebooks' / 'nbconvert_config.py'}"
    command = [sys.executable, "-m", "nbconvert", config, "--execute", "--inplace", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    notebook = read(path)
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2, 3]
    assert all("execution" not in cell.metadata for cell in notebook.cells)
    (shown,), (printed,) = (cell.outputs for cell in notebook.cells[2:])
    assert list(shown.data) == ["text/plain"] and printed.text == "42\n"
    assert "widgets" not in notebook.metadata
    assert notebook.metadata.language_info.file_extension == ".py" and "version" not in notebook.metadata.language_info
