"""Notebooks become pages that need no network; where a cell fails, the notebook and the cell are named and nothing is spoilt."""

import argparse

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers import pages

DRAW = """
import matplotlib.pyplot as plt
from helpers.plotting import show
fig, ax = plt.subplots()
ax.plot([1, 2])
show(fig, "A line that rises, <quickly> & \\"straight\\"")
print(6 * 7)
"""
PATH = "import sys; sys.path.insert(0, {root!r})\n"


@pytest.fixture
def place(tmp_path):
    """Write a notebook of these cells into a folder of its own."""

    def write(*cells):
        path = tmp_path / "09_small.ipynb"
        nbformat.write(new_notebook(cells=[new_markdown_cell("# A small one: $x^2$"), *cells]), path)
        return path

    return write


def options(folder, **more):
    return argparse.Namespace(**{"output": folder / "pages", "in_place": False, "as_committed": False, **more})


def test_a_notebook_is_executed_into_a_page_with_its_figures_formulas_and_alt_text(place, tmp_path, capsys):
    path = place(new_code_cell(PATH.format(root=str(pages.ROOT)) + DRAW))
    before = path.read_text(encoding="utf-8")
    assert pages.make_pages([path], options(tmp_path)) == 0
    page = (tmp_path / "pages" / "09_small.html").read_text(encoding="utf-8")
    assert "42" in page and "$x^2$" in page
    (picture,) = BeautifulSoup(page, "html.parser")("img")
    assert picture["alt"] == 'A line that rises, <quickly> & "straight"'
    assert "mathjax/MathJax.js" in page and (tmp_path / "pages" / "mathjax" / "MathJax.js").exists()
    assert "cdnjs" not in page.split("<body")[0] + page.split("</main>")[-1]
    assert "09_small: cell 1 of 1" in capsys.readouterr().out, "the notebook and the cell are shown"
    assert path.read_text(encoding="utf-8") == before, "without --in-place the notebook stays as it was"


def test_in_place_the_outputs_are_kept_and_nothing_about_the_machine(place, tmp_path):
    path = place(new_code_cell("print(6 * 7)"), new_code_cell("1 + 1"))
    assert pages.make_pages([path], options(tmp_path, in_place=True)) == 0
    notebook = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2]
    assert notebook.cells[1].outputs[0].text == "42\n" and "execution" not in notebook.cells[1].metadata
    assert notebook.metadata.language_info == {"name": "python"}


def test_of_a_widget_the_sentence_in_its_place_is_kept(place, tmp_path):
    draw = "from helpers.drawing import drawing_pad\npad = drawing_pad({'even': lambda image: [0.1] * 10})"
    path = place(new_code_cell(PATH.format(root=str(pages.ROOT)) + draw))
    assert pages.make_pages([path], options(tmp_path, in_place=True)) == 0
    (output,) = nbformat.read(path, as_version=4).cells[1].outputs
    assert list(output.data) == ["text/plain"] and "A pad to draw a digit on appears here" in output.data["text/plain"]
    assert "A pad to draw a digit on appears here" in (tmp_path / "pages" / "09_small.html").read_text(encoding="utf-8")


def test_a_cell_that_fails_is_told_with_its_notebook_and_leaves_everything_as_it_was(place, tmp_path, capsys):
    path = place(new_code_cell("1 / 0"))
    before = path.read_text(encoding="utf-8")
    assert pages.make_pages([path], options(tmp_path, in_place=True)) == 1
    told = capsys.readouterr().err
    assert "09_small.ipynb" in told and "ZeroDivisionError" in told and "1 / 0" in told
    assert path.read_text(encoding="utf-8") == before and not (tmp_path / "pages" / "09_small.html").exists()


def test_a_number_that_no_notebook_has_is_refused(capsys):
    with pytest.raises(SystemExit):
        pages.main(["07"])
    assert "expected numbers among 01, 02, 03, 04, got 07" in capsys.readouterr().err


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "page.html"
    pages.write("good", target)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pages.os, "replace", fail)
    with pytest.raises(OSError):
        pages.write("bad", target)
    assert target.read_text() == "good" and list(tmp_path.iterdir()) == [target]
