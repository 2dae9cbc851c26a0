"""Figures carry their alt text, share one look, and refuse what they can't draw."""

import base64
import io
import re
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from helpers import plotting
from helpers.plotting import COLOURS, DASHES, Progress, image_rows, plot_dots, plot_images, plot_lines, save_picture, show

GREY = np.zeros((3, 4), np.uint8)
LABELS = {"title": "T", "xlabel": "X", "ylabel": "Y", "alt": "Lines"}
DOTS = {"title": "T", "xlabel": "X", "alt": "Dots"}
ROWS = {"title": "T", "alt": "Rows"}


@pytest.fixture
def shown(monkeypatch):
    """What was displayed as if in a kernel, in order: (bundle, metadata)."""
    outputs = []

    def display(bundle, metadata=None, raw=False, display_id=None):
        assert raw
        outputs.append((bundle, metadata))
        return SimpleNamespace(update=display)

    monkeypatch.setattr(plotting, "display", display)
    monkeypatch.setattr(plotting, "get_ipython", lambda: "a kernel")
    return outputs


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were shown, still open, with their alt texts."""
    figures = []
    monkeypatch.setattr(plotting, "show", lambda fig, alt: figures.append((fig, alt)))
    return figures


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    plt.close("all")


def pictures_of(figures):
    """What the last figure shows as pictures, in order."""
    return [ax.images[0] for ax in figures[-1][0].axes if ax.images]


def test_a_shown_figure_is_a_small_png_with_its_alt_text_and_is_closed(shown):
    fig, ax = plt.subplots()
    ax.imshow(np.random.default_rng(0).random((50, 50)))
    show(fig, "Noise")
    ((bundle, metadata),) = shown
    assert metadata == {"image/png": {"alt": "Noise"}} and bundle["text/plain"] == "Noise"
    assert len(Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).getcolors()) <= 128
    assert not plt.get_fignums()


def test_a_note_stands_under_every_figure_until_it_is_taken_away(shown):
    for note, texts in [("embedded sample", ["embedded sample"]), ("", [])]:
        plotting.set_figure_note(note)
        fig = plt.figure()
        show(fig, "Empty")
        assert [text.get_text() for text in fig.texts] == texts


def test_plain_python_prints_the_alt_text_and_no_picture(capsys):
    plot_lines([1, 2], {"a": [1, 2]}, **LABELS)
    assert capsys.readouterr().out == "Figure: Lines\n"
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: show(plt.figure(), "  "), "expected alt, a sentence"),
        (lambda: plot_lines([1, 2], {"a": [1, 2, 3]}, **LABELS), "expected 2 values for the line 'a'.*got 3"),
        (lambda: plot_dots({"a": [1, np.nan]}, **DOTS), "one finite number for each seed of 'a', got .*nan"),
        (lambda: plot_dots({"a": [[1, 2]]}, **DOTS), r"one finite number for each seed of 'a', got \[\[1"),
        (lambda: plot_images(np.zeros((28, 28)), **ROWS), r"\(n, height, width\), got \(28, 28\)"),
        (lambda: plot_images(np.zeros((0, 28, 28)), **ROWS), r"\(n, height, width\), got \(0, 28, 28\)"),
        (lambda: plot_images(np.zeros((2, 28, 28)), ["a"], **ROWS), "expected 2 captions, one for each picture, got 1"),
        (lambda: image_rows({"a": np.zeros((3, 3))}, **ROWS), r"expected pictures of shape \(height, width\), got \(3,\)"),
        (lambda: image_rows({"a": np.zeros((2, 3, 3, 2))}, **ROWS), r"pictures of shape \(height, width\), got \(3, 3, 2\)"),
        (lambda: image_rows({"a": []}, **ROWS), "expected at least one picture in each row, got none"),
        (lambda: image_rows({}, **ROWS), "expected at least one picture in each row, got none"),
        (lambda: image_rows({"a": np.zeros((2, 3, 3))}, scale="each", **ROWS), "expected scale to be .* got 'each'"),
    ],
)
def test_what_cannot_be_drawn_or_has_no_alt_text_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_lines_have_titles_labels_and_a_legend_where_there_are_several(shown):
    axes = plot_lines([1, 10], {"a": [1, 2], "b": [3, np.nan]}, **LABELS, log="x")
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("T", "X", "Y")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear") and len(shown) == 1
    _, given = plt.subplots()
    assert plot_lines([1, 2], {"a": [1, 2]}, **LABELS, ax=given) is given
    assert given.get_legend() is None and len(shown) == 1, "what is drawn on given axes isn't shown"


def test_dots_stand_one_for_each_seed_with_their_mean_from_top_to_bottom(drawn):
    plot_dots({"baseline": [4.0, 5.0, 6.0], "one seed": 2.5}, **DOTS, number="{:.2f} %")
    ((fig, alt),) = drawn
    (axes,) = fig.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["baseline", "one seed"] and axes.yaxis_inverted()
    dots, mean, single, _ = axes.lines
    assert dots.get_xdata().tolist() == [4, 5, 6] and set(dots.get_ydata()) == {0} and dots.get_linestyle() == "None"
    assert mean.get_xdata().tolist() == [5] and single.get_xdata().tolist() == [2.5]
    assert [text.get_text() for text in axes.texts] == ["5.00 %", "2.50 %"]
    assert (axes.get_title(), axes.get_xlabel(), axes.get_xscale(), alt) == ("T", "X", "linear", "Dots")


def test_dots_can_have_a_logarithmic_axis(drawn):
    plot_dots({"a": [1, 100]}, **DOTS, log=True)
    fig = drawn[0][0]
    fig.draw_without_rendering()
    assert {"1", "10", "100"} <= {label.get_text() for label in fig.axes[0].get_xticklabels()}


def test_pictures_are_drawn_in_a_grid_with_their_captions(drawn):
    pictures = np.random.default_rng(0).random((12, 5, 7, 1))
    captions = [str(i) for i in range(12)]
    plot_images(pictures, captions, **ROWS, limits=(0, 2))
    shown = pictures_of(drawn)
    assert [picture.axes.get_title() for picture in shown] == captions
    assert np.array_equal([picture.get_array() for picture in shown], pictures[..., 0])
    assert {picture.get_clim() for picture in shown} == {(0, 2)}
    assert not any(ax.get_frame_on() or len(ax.get_xticks()) for ax in drawn[0][0].axes)
    heights = {round(picture.axes.get_position().y0, 6) for picture in shown}
    assert len(heights) == 2, "ten stand in a row"


def test_a_figure_has_no_empty_paper_above_and_below_its_pictures(drawn):
    for captions in (None, [""], ["one"]):
        plot_images(np.zeros((1, 10, 40)), captions, **ROWS, size=4)
    without, empty, written = (fig.get_figheight() for fig, _ in drawn)
    assert without == empty < written < 1.3
    fig = drawn[0][0]
    fig.draw_without_rendering()
    assert fig.axes[1].get_position().height > 0.9


def test_rows_of_pictures_have_their_labels_captions_title_and_alt_text(drawn):
    coloured = np.random.default_rng(0).random((5, 5, 3))
    rows = {"first": np.zeros((3, 5, 4)), "second": [np.ones((7, 7, 1)), coloured]}
    image_rows(rows, ["a", "b", "c", "d", "e"], **ROWS)
    ((fig, alt),) = drawn
    pictures = pictures_of(drawn)
    assert [ax.get_frame_on() for ax in fig.axes] == [False, True, True, True, False, True, True, False]
    assert (alt, fig.get_suptitle()) == ("Rows", "T")
    assert [picture.axes.get_title() for picture in pictures] == ["a", "b", "c", "d", "e"]
    assert [picture.get_array().shape for picture in pictures] == [(5, 4)] * 3 + [(7, 7), (5, 5, 3)]
    assert np.allclose(pictures[-1].get_array(), coloured)
    labels = {text.get_text(): ax.get_position().y0 for ax in fig.axes for text in ax.texts if text.get_text()}
    assert list(labels) == ["first", "second"] and labels["first"] > labels["second"]
    heights = [picture.axes.get_position().y0 for picture in pictures]
    assert np.ptp(heights[:3]) < 1e-9 and np.ptp(heights[3:]) < 1e-9 and heights[0] > heights[3] + 0.1


def test_no_label_caption_or_title_lies_over_another_or_over_a_picture(drawn):
    rows = {"the same training images\nscore 0.0": np.zeros((8, 28, 28)), "noise": np.zeros((3, 28, 28))}
    for captions in (None, ["two\nlines"] * 11):
        image_rows(rows, captions, title="A title", alt="Two rows", size=0.6)
        fig = drawn[-1][0]
        fig.draw_without_rendering()
        texts = [text for ax in fig.axes for text in (*ax.texts, ax.title) if text.get_text()] + list(fig.texts)
        boxes = [text.get_window_extent().padded(-1) for text in texts]  # they may touch, but not overlap
        boxes += [picture.axes.get_window_extent() for picture in pictures_of(drawn)]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize(
    ("look", "limits"),
    [
        ({"scale": "all"}, [(0, 9)] * 3),
        ({"scale": "image"}, [(0, 1), (2, 3), (4, 9)]),
        ({"limits": (-1, 1)}, [(-1, 1)] * 3),
    ],
)
def test_pictures_share_one_scale_or_each_has_its_own(drawn, look, limits):
    image_rows({"a": np.array([[[0, 1]], [[2, 3]]]), "b": np.array([[[4, 9]]])}, **ROWS, **look)
    assert [picture.get_clim() for picture in pictures_of(drawn)] == limits


def test_only_signed_pictures_are_coloured_and_white_at_zero(drawn):
    for signed, cmap, limits in [(True, "RdBu_r", [(-3, 3), (-2, 2)]), (False, "gray_r", [(-3, 1), (-1, 2)])]:
        image_rows({"": np.array([[[0, 1]], [[-3, 1]], [[-1, 2]]])}, **ROWS, scale="image", signed=signed)
        looks = [(picture.get_cmap().name, picture.get_clim()) for picture in pictures_of(drawn)]
        assert looks == [("gray_r", (0, 1)), (cmap, limits[0]), (cmap, limits[1])]


def test_every_line_has_a_dash_of_its_own_and_can_be_seen_on_white():
    assert len(set(map(str, DASHES))) == len(COLOURS) == len(set(COLOURS))
    luminance = np.array([to_rgb(colour) for colour in COLOURS]) ** 2.2 @ [0.2126, 0.7152, 0.0722]
    assert (1.05 / (luminance + 0.05) > 2).all()


# --- pictures in files ---


def test_a_picture_is_written_into_a_folder_that_is_made(tmp_path, capsys):
    pixels, images = np.arange(12, dtype=np.uint8).reshape(3, 4), tmp_path / "images"
    assert save_picture(GREY, images, "mnist_0.png") == save_picture(pixels, images, "mnist_0.png") == images
    assert np.array_equal(plt.imread(images / "mnist_0.png") * 255, pixels)
    assert [path.name for path in images.iterdir()] == ["mnist_0.png"]
    assert capsys.readouterr().out == ""


def test_where_the_folder_cannot_be_written_a_temporary_one_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plotting.tempfile, "tempdir", str(tmp_path))
    (tmp_path / "images").write_text("a file is in the way")
    folder = save_picture(GREY, tmp_path / "images", "mnist_0.png")
    assert (folder / "mnist_0.png").exists() and folder != tmp_path / "images"
    said = capsys.readouterr().out
    assert "can't be written" in said and str(folder) in said


def test_a_write_that_fails_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plotting.os, "replace", full)
    monkeypatch.setattr(plotting.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(OSError):
        save_picture(GREY, tmp_path / "images", "mnist_0.png")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_two_programs_that_write_the_same_picture_do_not_meet(tmp_path):
    pictures = [np.full((50, 50), grey, np.uint8) for grey in (0, 255)]
    with ThreadPoolExecutor() as pool:
        folders = list(pool.map(lambda k: save_picture(pictures[k % 2], tmp_path, "mnist_0.png"), range(200)))
    assert set(folders) == {tmp_path} and [path.name for path in tmp_path.iterdir()] == ["mnist_0.png"]
    assert len(np.unique(plt.imread(tmp_path / "mnist_0.png"))) == 1


# --- the line of progress ---


def test_plain_python_prints_the_last_line_of_progress_only(capsys):
    progress = Progress(10, "training")
    progress.shown -= 1
    progress.update(5)
    progress.close("10 steps")
    assert capsys.readouterr().out == "training: 10 steps\n"


def test_progress_is_one_line_refreshed_at_most_four_times_a_second(shown, capsys):
    progress = Progress(1000, "training")
    for step in range(1000):
        progress.update(step + 1, f"loss {step}")
    progress.shown, progress.start = progress.shown - 1, progress.start - 1000  # as if it had begun long ago
    progress.update(500, "loss 0.1")
    progress.close("1,000 steps")
    texts = [bundle["text/plain"] for bundle, _ in shown]
    assert texts[0] == "training …" and texts[-1] == "training: 1,000 steps" and len(texts) <= 5
    assert re.fullmatch(r"training: 500 of 1,000, 100\d s left  loss 0.1", texts[-2])
    assert capsys.readouterr().out == ""
