"""The checks of the exercises of notebook 02."""

import numpy as np
import pytest

from helpers import exercises


@pytest.fixture(scope="module")
def cnn(definitions):
    return definitions("02_keras_cnn_mnist")


def same(m, k, s, p):
    return (m - k) // s + 1 if p == "valid" else -(-m // s)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (same, "Right."),
        (lambda m, k, s, p: None, "Not written yet."),
        (lambda m, k, s, p: m // 0, "Not yet: your code stopped with ZeroDivisionError"),
        (lambda m, k, s, p: (m - k) // s if p == "valid" else same(m, k, s, p), "add one"),
        (lambda m, k, s, p: -(-(m - k) // s) + 1 if p == "valid" else same(m, k, s, p), "round down"),
        (lambda m, k, s, p: m - k + 1 if p == "valid" else m, "the stride is forgotten"),
        (lambda m, k, s, p: m // s if p == "same" else same(m, k, s, p), "round up"),
        (lambda m, k, s, p: (m - k) // s + 1, "the padding is forgotten"),
        (lambda m, k, s, p: (m - k + 2 * (k // 2)) // s + 1 if p == "same" else same(m, k, s, p), "the kernel doesn't matter"),
        (lambda m, k, s, p: round((m - k) / s) + 1 if p == "valid" else same(m, k, s, p), "round down"),
        (lambda m, k, s, p: same(m, k, s, p) if p == "valid" else None, "for 'same' your function returns nothing yet"),
        (lambda m, k, s, p: 5, "you get 5"),
        (lambda m, k, s, p: str(same(m, k, s, p)), "you get '26'; it is 26"),
    ],
)
def test_the_check_of_the_output_s_size_names_the_mistake(answer, said, capsys):
    assert exercises.check_output_size(answer) == {"Right.": True, "Not written yet.": None}.get(said, False)
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (lambda k: k[::-1, ::-1], "Right."),
        (lambda k: k, "isn't turned round"),
        (lambda k: k[::-1], "only the rows"),
        (lambda k: k[:, ::-1], "only the columns"),
        (lambda k: k[::-1, ::-1, ::-1], "the channels"),
        (lambda k: k[::-1, ::-1, :, ::-1], "the filters"),
        (lambda k: k[::-1, ::-1, ::-1, ::-1], "channels and filters"),
        (lambda k: k[:, :, ::-1, ::-1], "rows and columns should be"),
        (lambda k: 2 * k, "the numbers differ"),
        (lambda k: k[:2], "expected answers of shape"),
        (lambda k: k[5], "your code stopped with IndexError"),
    ],
)
def test_the_check_of_the_true_convolution_names_the_mistake(cnn, turn, said, capsys):
    result = exercises.check_true_convolution(lambda x, kernel: cnn.conv2d(x, turn(kernel), np.zeros(3)))
    assert result is (said == "Right.")
    assert said in capsys.readouterr().out


def test_the_check_of_the_true_convolution_waits_for_an_answer(capsys):
    assert exercises.check_true_convolution(lambda x, kernel: ...) is None
    assert "Not written yet." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda k, b, g, be, m, v, e: (k * (g / np.sqrt(v + e)), (b - m) * g / np.sqrt(v + e) + be), "Right."),
        (lambda *a: None, "Not written yet."),
        (lambda *a: (None, None), "Not written yet."),
        (lambda *a: 1 / 0, "your code stopped with ZeroDivisionError"),
        (lambda k, b, g, be, m, v, e: (k * (g / (v + e)), (b - m) * g / (v + e) + be), "under a root"),
        (lambda k, b, g, be, m, v, e: (k * (g / np.sqrt(v)), (b - m) * g / np.sqrt(v) + be), "epsilon is forgotten"),
        (lambda k, b, g, be, m, v, e: (k * (g / (v**0.5 + e)), (b - m) * g / (v**0.5 + e) + be), "belongs under"),
        (lambda k, b, g, be, m, v, e: (k * (g / np.sqrt(v + e))[:, None], (b - m) * g / np.sqrt(v + e) + be), "input channels"),
        (lambda k, b, g, be, m, v, e: (k * (g / np.sqrt(v + e)), be - m * g / np.sqrt(v + e)), "old bias is forgotten"),
        (lambda k, b, g, be, m, v, e: (k * (g / np.sqrt(v + e)), b - m * g / np.sqrt(v + e) + be), "old bias must be scaled"),
        (lambda k, b, g, be, m, v, e: (k * (g / np.sqrt(v + e)), b * g / np.sqrt(v + e) - m + be), "mean must be scaled"),
        (lambda k, b, g, be, m, v, e: (k * (g / np.sqrt(v + e)), b * g / np.sqrt(v + e) + be), "mean is forgotten"),
        (lambda k, b, g, be, m, v, e: (k * (g / np.sqrt(v + e)), (b + m) * g / np.sqrt(v + e) + be), "subtracted, not added"),
        (lambda k, b, g, be, m, v, e: (k * (g / np.sqrt(v + e)), (b - m + be) * g / np.sqrt(v + e)), "beta is added after"),
        (lambda k, b, g, be, m, v, e: (k / np.sqrt(v + e), (b - m) / np.sqrt(v + e) + be), "gamma is forgotten"),
        (lambda k, b, g, be, m, v, e: (k, (b - m) * g / np.sqrt(v + e) + be), "kernel isn't scaled"),
        (lambda k, b, g, be, m, v, e: (k * g / np.sqrt(v + e), (b - m) * g / np.sqrt(v + e)), "beta is forgotten"),
        (lambda k, b, g, be, m, v, e: (k * g / np.sqrt(v + e), b), "the bias must change too"),
        (lambda k, b, g, be, m, v, e: (k / np.sqrt(v + e), (b - m) * g / np.sqrt(v + e) + be), "forgotten in the kernel"),
        (lambda k, b, g, be, m, v, e: (k * g / np.sqrt(v + e), (b - m) / np.sqrt(v + e) + be), "forgotten in the bias"),
        (lambda k, b, g, be, m, v, e: (k * g * np.sqrt(v + e), (b - m) * g * np.sqrt(v + e) + be), "the root divides"),
        (lambda k, b, g, be, m, v, e: ((b - m) * g / np.sqrt(v + e) + be, k * g / np.sqrt(v + e)), "first, then"),
        (lambda k, *a: (k, None), "the new bias is still missing"),
        (lambda *a: [None, None], "Not written yet."),
        (lambda k, *a: k, "expected two arrays"),
        (lambda k, b, *a: (k[0], b), "expected shapes"),
        (lambda k, b, *a: (k * 7, b), "the new kernel differs"),
    ],
)
def test_the_check_of_the_folded_normalisation_names_the_mistake(answer, said, capsys):
    assert exercises.check_fold(answer) == {"Right.": True, "Not written yet.": None}.get(said, False)
    assert said in capsys.readouterr().out
