"""Figures carry their alt text, share one look, and refuse what they can't draw."""

import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from helpers import plotting
from helpers.plotting import COLOURS, DASHES, Progress, plot_images, plot_lines, set_figure_note, show


class Shown:
    """What was displayed, in order."""

    def __init__(self):
        self.outputs = []

    def __call__(self, bundle, metadata=None, raw=False, display_id=None):
        assert raw
        self.outputs.append((bundle, metadata))
        return self

    def update(self, bundle, raw=False):
        self.outputs.append((bundle, None))


@pytest.fixture
def shown(monkeypatch):
    shown = Shown()
    monkeypatch.setattr(plotting, "display", shown)
    monkeypatch.setattr(plotting, "get_ipython", lambda: "a kernel")
    return shown


def picture(bundle):
    return Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))


def test_a_shown_figure_is_a_small_png_with_its_alt_text_and_is_closed(shown):
    fig, ax = plt.subplots()
    ax.imshow(np.random.default_rng(0).random((50, 50)))
    show(fig, "Noise")
    (bundle, metadata), = shown.outputs  # fmt: skip
    assert metadata == {"image/png": {"alt": "Noise"}} and bundle["text/plain"] == "Noise"
    assert len(picture(bundle).getcolors()) <= 128
    assert not plt.get_fignums()


def test_a_figure_without_alt_text_is_refused(shown):
    for empty in ("", "  "):
        with pytest.raises(ValueError, match="alt"):
            show(plt.figure(), empty)
    with pytest.raises(ValueError, match="alt"):
        plot_lines([1, 2], {"a": [1, 2]}, title="t", xlabel="x", ylabel="y")
    plt.close("all")


def test_a_note_that_is_set_stands_under_every_figure_until_it_is_taken_away(shown, monkeypatch):
    monkeypatch.setattr(plotting, "_figure_note", "")
    for note, texts in [("embedded sample", ["embedded sample"]), ("", [])]:
        set_figure_note(note)
        fig = plt.figure()
        show(fig, "Empty")
        assert [text.get_text() for text in fig.texts] == texts


def test_lines_have_titles_labels_and_a_legend_where_there_are_several(shown):
    axes = plot_lines([1, 10], {"a": [1, 2], "b": [3, np.nan]}, title="T", xlabel="X", ylabel="Y", alt="Lines", log="x")
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("T", "X", "Y")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear") and len(shown.outputs) == 1


def test_lines_can_be_drawn_on_given_axes_without_being_shown(shown):
    fig, ax = plt.subplots()
    assert plot_lines([1, 2], {"a": [1, 2]}, title="T", xlabel="X", ylabel="Y", ax=ax) is ax
    assert shown.outputs == [] and ax.get_legend() is None
    plt.close(fig)


def test_a_line_of_the_wrong_length_is_named():
    with pytest.raises(ValueError, match="expected 2 values for the line 'a'.*got 3"):
        plot_lines([1, 2], {"a": [1, 2, 3]}, title="T", xlabel="X", ylabel="Y", alt="A")
    plt.close("all")


@pytest.mark.parametrize("shape", [(12, 28, 28), (3, 28, 28, 1), (1, 5, 7)])
def test_pictures_are_drawn_in_a_grid_with_their_captions(shown, shape):
    plot_images(np.zeros(shape), [str(i) for i in range(shape[0])], title="T", alt="Pictures", limits=(0, 1))
    assert picture(shown.outputs[0][0]).width > 20


def test_pictures_of_another_shape_or_with_too_few_captions_are_refused():
    with pytest.raises(ValueError, match=r"\(n, height, width\), got \(28, 28\)"):
        plot_images(np.zeros((28, 28)), title="T", alt="A")
    with pytest.raises(ValueError, match="expected 2 captions, one for each picture, got 1"):
        plot_images(np.zeros((2, 28, 28)), ["a"], title="T", alt="A")


def test_progress_is_one_line_refreshed_at_most_four_times_a_second(shown):
    progress = Progress(1000, "training")
    for step in range(1000):
        progress.update(step + 1, f"loss {step}")
    progress.shown -= 1  # as if a second had gone by
    progress.update(500, "loss 0.1")
    progress.close("1,000 steps")
    texts = [bundle["text/plain"] for bundle, _ in shown.outputs]
    assert texts[0] == "training …" and texts[-1] == "training: 1,000 steps" and len(texts) <= 5
    assert re.fullmatch(r"training: 500 of 1,000, \d+ s left  loss 0.1", texts[-2])


def luminance(colour):
    linear = [(int(colour[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_line_has_a_dash_of_its_own_and_can_be_seen_on_white():
    assert len(set(map(str, DASHES))) == len(COLOURS) == len(set(COLOURS))
    assert all(1.05 / (luminance(colour) + 0.05) > 2 for colour in COLOURS)
