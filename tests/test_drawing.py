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

SAMPLE = load_mnist("sample")
MEANS = [SAMPLE.x_train[SAMPLE.y_train == digit].mean(axis=0).ravel() for digit in range(10)]
IMAGE_OF_7, IMAGE_OF_1 = (SAMPLE.x_test[np.flatnonzero(SAMPLE.y_test == digit)[0]] for digit in (7, 1))
UNEQUAL = np.arange(10) / 45


def drawn(image):
    """A small digit in a corner of the paper, as the browser sends it: 784 numbers."""
    half = image.reshape(14, 2, 14, 2).mean(axis=(1, 3)).astype(int)
    return np.pad(half, ((0, 14), (0, 14))).ravel().tolist()


SEVEN, ONE = drawn(IMAGE_OF_7), drawn(IMAGE_OF_1)


def always(digit):
    return lambda image: np.eye(10)[digit]


def likeness(image):
    """A classifier that compares an image with the mean image of each digit."""
    scores = np.exp(20 * np.array([np.corrcoef(mean, image.ravel())[0, 1] for mean in MEANS]))
    return scores / scores.sum()


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


@pytest.mark.parametrize("ready", [IMAGE_OF_7, IMAGE_OF_7 / 255, IMAGE_OF_7 > 100], ids=["uint8", "float", "bool"])
def test_the_ready_digit_stands_before_a_drawing_and_after_clear(ready):
    pad = Pad({"likeness": likeness}, ready)
    assert pad.message.startswith("The ready digit: likeness reads 7") and pad.picture.max() == 1
    pad.draw(ONE)
    assert pad.read == {"likeness": 1}
    pad.draw(None)
    assert pad.read == {"likeness": 7} and np.array_equal(pad.picture, pad.ready)


WRONG_NUMBERS = [[wrong, *SEVEN[1:]] for wrong in (256, -1, 0.5, True)]


@pytest.mark.parametrize("wrong", ["0" * 784, SEVEN[:-1], [*SEVEN, 0], *WRONG_NUMBERS], ids=lambda wrong: str(wrong)[:9])
def test_what_is_no_drawing_is_refused_on_the_pad_and_nothing_is_lost(wrong):
    pad = Pad({"one": always(1)})
    pad.draw(SEVEN)
    before = pad.picture
    pad.draw(wrong)
    assert pad.message.startswith("Expected a drawing of 784 whole numbers from 0 to 255")
    assert pad.message.endswith("What was read before still stands.") and pad.picture is before and pad.read == {"one": 1}


def test_a_classifier_that_fails_is_a_sentence_and_the_others_go_on():
    pad = Pad({"failing": lambda image: 1 / 0, "odd": lambda image: UNEQUAL[:9], "one": always(1)})
    pad.draw(SEVEN)
    assert "failing failed with ZeroDivisionError: division by zero" in pad.message
    assert "odd failed with ValueError: expected ten probabilities, shape (10,), from 'odd'" in pad.message
    assert pad.read == {"one": 1} and pad.picture is not None


@pytest.mark.parametrize(
    ("classifiers", "ready", "message"),
    [
        ({}, None, "expected at least one classifier"),
        ({"one": 1}, None, "expected at least one classifier"),
        ({"one": always(1)}, np.zeros(784), r"expected a ready digit \(28, 28\), .* got float64 of shape \(784,\)"),
        ({"one": always(1)}, np.full((28, 28), 2.0), "expected a ready digit"),
        ({"one": always(1)}, np.full((28, 28), np.nan), "expected a ready digit"),
        ({"one": always(1)}, "7", "expected a ready digit"),
        ({"r": lambda image: UNEQUAL[None]}, IMAGE_OF_7, r"shape \(10,\), from 'r', got float64 of shape \(1, 10\)"),
        ({"r": lambda image: ["a"] * 10}, IMAGE_OF_7, "got <U1"),
        ({"r": lambda image: np.full(10, np.nan)}, IMAGE_OF_7, "finite probabilities"),
        ({"r": lambda image: np.arange(10)}, IMAGE_OF_7, r"in \[0, 1\]"),
        ({"r": lambda image: -UNEQUAL}, IMAGE_OF_7, r"in \[0, 1\]"),
    ],
)
def test_wrong_classifiers_and_ready_digits_are_refused_at_once(classifiers, ready, message):
    with pytest.raises(ValueError, match=message):
        Pad(classifiers, ready)


@pytest.fixture
def displayed(monkeypatch):
    """What `drawing_pad` displays, as if in a kernel."""
    outputs = []
    monkeypatch.setattr(drawing, "get_ipython", lambda: types.SimpleNamespace(kernel=object()))
    monkeypatch.setattr(drawing, "display", lambda bundle, metadata, raw: outputs.append((bundle, raw)))
    return outputs


def test_in_a_kernel_the_widget_is_displayed_with_a_sentence_in_reserve(displayed):
    pytest.importorskip("anywidget")
    pad = drawing_pad({"net": always(7)}, ready=IMAGE_OF_7)
    ((bundle, raw),) = displayed
    assert raw and bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == pad.widget.model_id
    place = "A pad to draw a digit on appears here in JupyterLab, VS Code and Colab."
    assert bundle["text/plain"] == f"{place} For now: the ready digit, read as 7 by net."
    assert "export default { render }" in pad.widget._esm and ".digit-pad" in pad.widget._css


def test_what_the_browser_sends_is_answered_in_one_message_of_plain_json():
    pytest.importorskip("anywidget")
    pad = Pad({"seven": always(7)})
    pad.widget = widget = make_widget(pad)
    answers = []
    widget.observe(lambda change: answers.append(change["new"]), "shown")
    for number, pixels in enumerate([SEVEN, "rubbish", [1], [0] * 784, None], start=1):
        widget.set_state({"drawing": pixels})  # what a message from the browser calls
        assert len(answers) == number
    assert json.loads(json.dumps(answers)) == answers
    first, rubbish, _, blank, cleared = answers
    assert first["readings"] == [{"name": "seven", "probabilities": np.eye(10)[7].tolist()}]
    assert len(first["picture"]) == 784 and {type(value) for value in first["picture"]} == {int}
    assert rubbish["message"].startswith("Expected") and rubbish["picture"] == first["picture"]
    assert blank["message"].startswith("The picture is blank")
    assert (cleared["message"], cleared["picture"], cleared["readings"]) == ("Draw a digit.", None, [])


def test_a_script_and_a_kernel_without_anywidget_get_a_sentence(displayed, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "anywidget", None)  # importing it fails
    pad = drawing_pad({"net": always(7)}, ready=IMAGE_OF_7)
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
