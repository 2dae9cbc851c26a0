"""The checks of the exercises of notebook 03."""

import numpy as np
import pytest

from helpers.exercises import check_average, check_distance, check_half_life, check_last_gradient


@pytest.fixture(scope="module")
def nb(definitions):
    return definitions("03_simple_rnn_cumulative_sum")


def said(capsys, check, answer):
    verdict = check(answer)
    return verdict, capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((0.9, 0.1, 0), "wrong way round"),
        ((0.1, 1, 0), "left out the old average"),
        ((1, 0.9, 0), "settles at 10"),
        ((0.1, 0.9, 0.5), "an average of zeros is 0"),
        ((1, 1, 0), "nothing is ever forgotten"),
        ((0.2, 0.8, 0), "yours moves 0.2 of the way"),
        ((0.1, 0.9), "expected three numbers"),
        (("a", "b", "c"), "expected three numbers"),
    ],
)
def test_the_check_of_the_average_names_the_mistake(capsys, answer, message):
    verdict, text = said(capsys, check_average, lambda: answer)
    assert verdict is False and text.startswith("Not yet: ") and message in text


def find_factor(x, y):
    equations = np.stack([x[:, 1:].ravel(), y[:, :-1].ravel()], axis=1)
    return np.linalg.lstsq(equations, y[:, 1:].ravel(), rcond=None)[0][1]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (find_factor, "you return U itself"),
        (lambda x, y: 1 - find_factor(x, y), "you return W"),
        (lambda x, y: np.log(2) / np.log(find_factor(x, y)), "the sign is not"),
        (lambda x, y: -1 / np.log(find_factor(x, y)), "1/e"),
        (lambda x, y: 1 / (1 - find_factor(x, y)), "1/e"),
        (lambda x, y: round(np.log(0.5) / np.log(find_factor(x, y))), "rounded"),
        (lambda x, y: 3.0, "for U = 0.5 you return 3 steps, and it is 1."),
        (lambda x, y: np.array([6.58]), "return one number, not an array of shape (1,)"),
    ],
)
def test_the_check_of_the_half_life_names_the_mistake(capsys, answer, message):
    verdict, text = said(capsys, check_half_life, answer)
    assert verdict is False and text.startswith("Not yet: ") and message in text


@pytest.mark.parametrize(
    ("W", "U", "message"),
    [
        ([[1, 1]], [[1, 1], [0, 1]], "transposed"),
        ([[0, 1]], [[1, 0], [1, 1]], "one step late"),
        ([[1, 1]], [[1, 1], [0, 1]][::-1], "the speed is wrong"),
        ([[1, 1]], [[1, 0], [0, 1]], "both memories hold the speed"),
        ([[1, 1]], [[0, 0], [1, 1]], "both memories hold the speed"),
        ([[1, 1]], [[0.5, 0], [1, 1]], "the distance is not"),
        ([1, 1], [[1, 0], [1, 1]], "expected the shapes"),
    ],
)
def test_the_check_of_the_two_memories_names_the_mistake(capsys, W, U, message):
    verdict, text = said(capsys, check_distance, lambda: (W, U, [0, 0]))
    assert verdict is False and text.startswith("Not yet: ") and message in text


def test_the_check_of_the_two_memories_knows_the_wrong_order(capsys):
    verdict, text = said(capsys, check_distance, lambda: ([[1, 1]], [[1, 1], [0, 1]], [0, 0]))
    assert "transposed" in text and verdict is False
    verdict, text = said(capsys, check_distance, lambda: (1, 2))
    assert "expected three arrays" in text and verdict is False


def last_gradient(nb, *, every=False, stop=False, after=False):
    def answer(x, y_last, W, U, b):
        h = nb.rnn(x, W, U, b)
        before = np.concatenate([np.zeros((len(h), 1)), h[:, :-1]], axis=1)
        e = 2 * (h - y_last[:, None]) / len(h)
        if not every:
            e[:, :-1] = 0
        for t in range(h.shape[1] - 2, -1, -1):
            e[:, t] += 0 if stop else U * e[:, t + 1]
        return np.array([(e * x).sum(), (e * (h if after else before)).sum(), e.sum()])

    return answer


def test_the_check_of_the_last_gradient_names_the_mistake(capsys, nb):
    right = last_gradient(nb)
    for answer, message in (
        (last_gradient(nb, every=True), "you compare every step"),
        (last_gradient(nb, stop=True), "you stop after the last step"),
        (last_gradient(nb, after=True), "dL/dU is wrong"),
        (lambda *a: -right(*a), "every sign is turned round"),
        (lambda *a: right(*a) / 2, "a factor of two is missing"),
        (lambda *a: right(*a) * 6, "divide by the number of series"),
        (lambda *a: right(*a) / 7, "you divide by the number of steps"),
        (lambda *a: right(*a) + [0, 0, 1], "dL/db differs from finite differences"),
        (lambda *a: right(*a)[:2], "expected three derivatives"),
        (lambda *a: (0.1, right(*a)), "without the loss"),
    ):
        verdict, text = said(capsys, check_last_gradient, answer)
        assert verdict is False and text.startswith("Not yet: ") and message in text, text


def half_life(x, y):
    return np.log(0.5) / np.log(find_factor(x, y))


def test_the_right_answers_pass_their_checks(capsys, nb):
    for check, answer in (
        (check_average, lambda: (0.1, 0.9, 0)),
        (check_half_life, half_life),
        (check_distance, lambda: (np.ones((1, 2)), np.array([[1, 0], [1, 1]]), np.zeros(2))),
        (check_last_gradient, last_gradient(nb)),
    ):
        verdict, text = said(capsys, check, answer)
        assert verdict is True and text.startswith("Right. "), text


@pytest.mark.parametrize("check", [check_average, check_half_life, check_distance, check_last_gradient])
def test_an_answer_that_is_not_written_or_crashes_is_told_as_such(capsys, check):
    assert said(capsys, check, lambda *_: ...) == (None, "Not written yet.")
    assert said(capsys, check, lambda *_: None) == (None, "Not written yet.")
    verdict, text = said(capsys, check, lambda *_: 1 / 0)
    assert verdict is False and text.startswith("Not yet: your code stopped with ZeroDivisionError")
