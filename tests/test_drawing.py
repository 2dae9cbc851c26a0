"""A drawing is checked, centred and classified, and whatever goes wrong is said on the pad."""

import json
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

from helpers import drawing
from helpers.data import load_mnist
from helpers.drawing import Pad, drawing_pad, make_widget
from tests.notebook_code import ROOT

UNEQUAL = np.arange(10) / 45


SAMPLE = load_mnist("sample")


def drawn(digit):
    """A small digit in a corner of the paper, as the browser sends it: 784 numbers."""
    image = SAMPLE.x_test[np.flatnonzero(SAMPLE.y_test == digit)[0]]
    half = image.reshape(14, 2, 14, 2).mean(axis=(1, 3)).astype(int)
    return np.pad(half, ((0, 14), (0, 14))).ravel().tolist()


SEVEN, ONE = drawn(7), drawn(1)


def always(digit):
    return lambda image: np.eye(10)[digit]


MEANS = [SAMPLE.x_train[SAMPLE.y_train == digit].mean(axis=0).ravel() for digit in range(10)]


def likeness(image):
    """A classifier that compares an image with the mean image of each digit."""
    scores = np.exp(20 * np.array([np.corrcoef(mean, image.ravel())[0, 1] for mean in MEANS]))
    return scores / scores.sum()


@pytest.fixture
def displayed(monkeypatch):
    """What `drawing_pad` displays, as if in a kernel."""
    outputs = []
    monkeypatch.setattr(drawing, "get_ipython", lambda: types.SimpleNamespace(kernel=object()))
    monkeypatch.setattr(drawing, "display", lambda bundle, metadata, raw: outputs.append((bundle, raw)))
    return outputs


def test_a_drawn_seven_and_a_drawn_one_are_centred_and_classified():
    pad = Pad({"likeness": likeness})
    for pixels, digit in ((SEVEN, 7), (ONE, 1)):
        pad.draw(pixels)
        assert pad.read == {"likeness": digit} and f"likeness reads {digit} (" in pad.message
        rows = np.flatnonzero(pad.picture.any(axis=1))
        assert pad.picture.shape == (28, 28) and pad.picture.dtype == np.float32 and len(rows) == 20
        assert abs((pad.picture.sum(axis=1) * np.arange(28)).sum() / pad.picture.sum() - 14) < 0.6


def test_classifiers_get_copies_and_answer_side_by_side_in_their_order():
    def greedy(image):
        assert image.dtype == np.float32 and image.min() == 0 and 0.9 < image.max() <= 1
        image[:] = 0
        return UNEQUAL

    pad = Pad({"greedy": greedy, "eight": always(8)})
    pad.draw(SEVEN)
    assert pad.picture.max() > 0.9 and pad.message == "greedy reads 9 (20 %); eight reads 8 (100 %)."
    assert list(pad.read.items()) == [("greedy", 9), ("eight", 8)]
    assert [reading["name"] for reading in pad.shown()["readings"]] == ["greedy", "eight"]


@pytest.mark.parametrize("kind", ["uint8", "float32", "bool"])
def test_the_ready_digit_stands_before_a_drawing_and_after_clear(kind):
    seven = SAMPLE.x_test[np.flatnonzero(SAMPLE.y_test == 7)[0]]
    pad = Pad({"likeness": likeness}, {"uint8": seven, "float32": seven / np.float32(255), "bool": seven > 100}[kind])
    assert pad.message.startswith("The ready digit: likeness reads 7") and pad.picture.max() == 1
    pad.draw(ONE)
    assert pad.read == {"likeness": 1}
    pad.draw(None)
    assert pad.read == {"likeness": 7} and np.array_equal(pad.picture, pad.ready)


def test_without_a_ready_digit_the_pad_is_empty_after_clear():
    pad = Pad({"one": always(1)})
    pad.draw(SEVEN)
    pad.draw(None)
    assert (pad.picture, pad.read, pad.message) == (None, {}, "Draw a digit.")


WRONG = [
    [],
    SEVEN[:-1],
    [*SEVEN, 0],
    [None] * 784,
    "0" * 784,
    {"0": 1},
    7,
    *([each, *SEVEN[1:]] for each in (256, -1, 0.5, True, "0")),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{type(wrong).__name__} {str(wrong)[:12]}")
def test_what_is_no_drawing_is_refused_on_the_pad_and_nothing_is_lost(wrong):
    pad = Pad({"one": always(1)})
    pad.draw(SEVEN)
    before = pad.picture
    pad.draw(wrong)
    assert pad.message.startswith("Expected a drawing of 784 whole numbers from 0 to 255")
    assert pad.message.endswith("What was read before still stands.") and pad.picture is before and pad.read == {"one": 1}


def test_a_blank_drawing_is_a_sentence_on_the_pad():
    pad = Pad({"one": always(1)})
    pad.draw([0] * 784)
    assert pad.message.startswith("The picture is blank") and pad.picture is None


def test_a_classifier_that_fails_is_a_sentence_and_the_others_go_on():
    pad = Pad({"failing": lambda image: 1 / 0, "odd": lambda image: UNEQUAL[:9], "one": always(1)})
    pad.draw(SEVEN)
    assert "failing failed with ZeroDivisionError: division by zero" in pad.message
    assert "odd failed with ValueError: expected ten probabilities, shape (10,), from 'odd'" in pad.message
    assert pad.read == {"one": 1} and pad.picture is not None


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.ones((1, 10)) / 10, r"shape \(10,\), from 'r', got float64 of shape \(1, 10\)"),
        (7, r"of shape \(\)"),
        (None, "got object"),
        (["a"] * 10, "got <U1"),
        (np.full(10, np.nan), "finite probabilities"),
        (np.arange(10), r"in \[0, 1\]"),
        (-UNEQUAL, r"in \[0, 1\]"),
    ],
)
def test_what_a_classifier_makes_of_the_ready_digit_is_checked_at_once(result, message):
    with pytest.raises(ValueError, match=message):
        Pad({"r": lambda image: result}, SAMPLE.x_test[0])


@pytest.mark.parametrize("ready", [np.zeros(784), np.full((28, 28), 2.0), np.full((28, 28), np.nan), np.zeros((28, 28, 1)), "7"])
def test_a_ready_digit_of_another_shape_or_range_is_refused(ready):
    with pytest.raises(ValueError, match=r"expected a ready digit \(28, 28\)"):
        Pad({"one": always(1)}, ready)


@pytest.mark.parametrize("classifiers", [{}, {"one": 1}])
def test_a_pad_without_a_classifier_is_refused(classifiers):
    with pytest.raises(ValueError, match="expected at least one classifier"):
        Pad(classifiers)


def test_in_a_kernel_the_widget_is_displayed_with_a_sentence_in_reserve(displayed):
    pytest.importorskip("anywidget")
    pad = drawing_pad({"net": always(7)}, ready=SAMPLE.x_test[0])
    ((bundle, raw),) = displayed
    assert raw and bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == pad.widget.model_id
    sentence = (
        "A pad to draw a digit on appears here in JupyterLab, VS Code and Colab. For now: the ready digit, read as 7 by net."
    )
    assert bundle["text/plain"] == sentence
    assert "export default { render }" in pad.widget._esm and ".digit-pad" in pad.widget._css


def test_what_the_browser_sends_is_answered_in_one_message_of_plain_json():
    pytest.importorskip("anywidget")
    pad = Pad({"seven": always(7)})
    pad.widget = widget = make_widget(pad)
    answers = []
    widget.observe(lambda change: answers.append(change["new"]), "shown")
    for number, drawn in enumerate([SEVEN, "rubbish", [1], [0] * 784, None], start=1):
        widget.set_state({"drawing": drawn})  # what a message from the browser calls
        assert len(answers) == number
    assert json.loads(json.dumps(answers)) == answers
    assert answers[0]["readings"] == [{"name": "seven", "probabilities": np.eye(10)[7].tolist()}]
    assert len(answers[0]["picture"]) == 784 and {type(value) for value in answers[0]["picture"]} == {int}
    assert answers[1]["message"].startswith("Expected") and answers[1]["picture"] == answers[0]["picture"]


def test_a_script_and_a_kernel_without_anywidget_get_a_sentence(displayed, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "anywidget", None)  # importing it fails
    pad = drawing_pad({"net": always(7)}, ready=SAMPLE.x_test[0])
    assert "after `pip install anywidget` and a restart of the kernel. For now: the ready" in capsys.readouterr().out
    monkeypatch.setattr(drawing, "get_ipython", lambda: None)
    bare = drawing_pad({"net": always(7)})
    assert capsys.readouterr().out == "A pad to draw a digit on appears here in JupyterLab, VS Code and Colab.\n"
    for each in (pad, bare):
        each.draw(ONE)
        assert each.widget is None and each.read == {"net": 7} and displayed == []


def test_the_status_line_of_the_pad_follows_what_the_kernel_answers():
    node = shutil.which("node") or pytest.skip("needs Node.js")
    command = [node, ROOT / "tests" / "pad_in_node.mjs", ROOT / "helpers" / "drawing.js"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    busy = "It is read as soon as the kernel is free."
    # in time, late, then answered; two drawings at once, whose time-outs come late; cleared twice; drawn on a pad that has gone
    assert json.loads(done.stdout) == {
        "said": ["first", busy, "second", "both", "cleared", "cleared"],
        "sent": [784, 784, 784, 784, "cleared", 784],
    }
