"""The checks of the exercises of notebook 01."""

import numpy as np
import pytest

from helpers import exercises


def said(capsys):
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize("check", ["check_dtanh", "check_bias_gradients", "check_relu_gradients", "check_deep_gradients"])
def test_an_answer_that_is_not_written_or_stops_is_told_so(check, capsys):
    assert getattr(exercises, check)(lambda *arguments: ...) is None
    assert said(capsys) == "Not written yet."
    assert getattr(exercises, check)(lambda *arguments: 1 / 0) is False
    assert "stopped with ZeroDivisionError" in said(capsys)
    assert getattr(exercises, check)(lambda *arguments: np.zeros(99)) is False
    assert said(capsys).startswith("Not yet: expected")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda o: 1 - o**2, "Right."),
        (lambda o: 1 - np.tanh(o) ** 2, "what came out, which has been through tanh already"),
        (lambda o: o * (1 - o), "of the sigmoid"),
        (lambda o: o**2 - 1, "sign"),
        (lambda o: 1 + o, "where the output is 0"),
    ],
)
def test_the_check_of_tanh_names_the_mistake(answer, message, capsys):
    assert exercises.check_dtanh(answer) is (message == "Right.")
    assert message in said(capsys)


@pytest.mark.parametrize(
    ("reduce", "message"),
    [
        (lambda a: a.mean(1, keepdims=True), "Right."),
        (lambda a: a.sum(1, keepdims=True), "n times too large"),
        (lambda a: a.mean(0, keepdims=True), "wrong axis"),
        (lambda a: a.sum(0, keepdims=True), "wrong axis, and no division"),
        (lambda a: a.mean(1), "Keep a column"),
        (lambda a: a.mean(), "wrong axis"),
        (lambda a: a.sum(1, keepdims=True) / len(a), "not of nodes"),
        (lambda a: a, "no bias of its own"),
        (lambda a: 2 * a.mean(1, keepdims=True), "away from the measured gradient"),
    ],
)
def test_the_check_of_the_biases_names_the_mistake(reduce, message, capsys):
    assert exercises.check_bias_gradients(lambda y, z: (reduce(y), reduce(z))) is (message == "Right.")
    assert message in said(capsys)


def relu_answer(slope, n=None, sign=1):
    def gradients(Wyx, Wzy, Xout, Zteach):
        Yin = Wyx @ Xout
        Yout = np.maximum(Yin, 0)
        dE_dZin = sign * (Wzy @ Yout - Zteach)
        dE_dYin = (Wzy.T @ dE_dZin) * slope(Yin, Yout)
        return dE_dYin @ Xout.T / (n or Xout.shape[1]), dE_dZin @ Yout.T / (n or Xout.shape[1])

    return gradients


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (relu_answer(lambda Yin, Yout: Yout > 0), "Right."),
        (relu_answer(lambda Yin, Yout: Yin > 0), "Right."),
        (relu_answer(lambda Yin, Yout: Yout >= 0), "the bug is still there"),
        (relu_answer(lambda Yin, Yout: Yin > 0, n=1), "n times too large"),
        (relu_answer(lambda Yin, Yout: Yout), "not its output"),
        (relu_answer(lambda Yin, Yout: Yin < 0), "wrong half"),
        (relu_answer(lambda Yin, Yout: Yin > 0, sign=-1), "sign"),
    ],
)
def test_the_check_of_the_planted_bug_names_the_mistake(answer, message, capsys):
    assert exercises.check_relu_gradients(answer) is (message == "Right.")
    assert message in said(capsys)


def deep_answer(bends="zyh", n=None, twice=False, flip="", reverse=False):
    def gradients(Whx, Wyh, Wzy, Xout, Zteach):
        def f(x):
            return 1 / (1 + np.exp(-x))

        def slope(o, name):
            o = f(o) if twice else o
            return o * (1 - o) if name in bends else 1

        H = f(Whx @ Xout)
        Y = f(Wyh @ H)
        Z = f(Wzy @ Y)
        dZ = (Z - Zteach) * slope(Z, "z")
        dY = ((Wzy if "zy" in flip else Wzy.T) @ dZ) * slope(Y, "y")
        dH = ((Wyh if "yh" in flip else Wyh.T) @ dY) * slope(H, "h")
        found = tuple(a @ b.T / (n or Xout.shape[1]) for a, b in ((dH, Xout), (dY, H), (dZ, Y)))
        return found[::-1] if reverse else found

    return gradients


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (deep_answer(), "Right."),
        (deep_answer(n=1), "n times too large"),
        (deep_answer("zy"), "bend of H is left out"),
        (deep_answer("zh"), "bend of Y is left out"),
        (deep_answer("yh"), "bend of Z is left out"),
        (deep_answer("z"), "hidden layers are left out"),
        (deep_answer(twice=True), "through the sigmoid already"),
        (deep_answer(flip="zy"), "through Wzy needs its transpose"),
        (deep_answer(flip="yh"), "through Wyh needs its transpose"),
        (deep_answer(flip="zy yh"), "both matrices"),
        (deep_answer(reverse=True), "the order is"),
    ],
)
def test_the_check_of_the_second_hidden_layer_names_the_mistake(answer, message, capsys):
    assert exercises.check_deep_gradients(answer) is (message == "Right.")
    assert message in said(capsys)


def test_a_check_survives_an_answer_that_cannot_be_compared(capsys):
    assert exercises.check_bias_gradients(lambda y, z: (y.mean, z.mean)) is False
    assert "parentheses" in capsys.readouterr().out
    assert exercises.check_dtanh(lambda o: [None] * 7) is False
