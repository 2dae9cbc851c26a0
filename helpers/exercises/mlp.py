"""The checks of the exercises of notebook 01, on derivatives and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from helpers.exercises.judge import Mistake, central_differences, compare, judge, scaled


@judge
def check_dtanh(your_dtanh: Callable[[np.ndarray], Any]) -> str:
    """The derivative of tanh, in terms of its output o of any shape."""
    o = np.tanh(np.linspace(-3, 3, 7))
    right = {"the derivative": 1 - o**2}
    mistakes = [
        Mistake("tanh is applied twice", 1 - np.tanh(o) ** 2, "You are given its output o, not its input."),
        Mistake("this is the derivative of the sigmoid", o * (1 - o), "Differentiate tanh as the hint says."),
        Mistake("this is 1 - o", 1 - o, "The output is squared."),
        Mistake("this is (1 - o)²", (1 - o) ** 2, "Square the output first, then subtract it from 1."),
        Mistake("this is tanh, not its derivative", np.tanh(o), "Differentiate it."),
        *scaled(right, {-1: "tanh rises everywhere, so its derivative is positive.", 2: "At x = 0, tanh has a slope of 1."}),
    ]
    compare(your_dtanh(o), right, mistakes, lambda name, index: f"for the output {o[index]:.3g} {name}")
    return "At its steepest, tanh is four times as steep as the sigmoid, and passes more of the delta back."


def _factors(right: dict[str, np.ndarray], n: int) -> list[Mistake]:
    """The common factors of a gradient of E, half the squared error, averaged over n samples."""
    reasons = {
        -1: "The derivative of E by the output has the sign of output minus target.",
        n: f"E is a mean over n = {n} samples: divide by n.",
        1 / n: f"Divide by n = {n} once, not twice.",
        2: "The half in E cancels the 2 of the square.",
        0.5: "The half in E is used up by the 2 of the square.",
    }
    return scaled(right, reasons)


@judge
def check_bias_gradients(your_bias_gradients: Callable[..., Any]) -> str:
    """The gradients of two biases, from the deltas (units, n) of the hidden and the output layer."""
    rng = np.random.default_rng(0)
    y, z = rng.normal(size=(4, 7)), rng.normal(size=(3, 7))

    def both(reduce: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        return reduce(y), reduce(z)

    right = dict(zip(("dE_dby", "dE_dbz"), both(lambda a: a.mean(1, keepdims=True))))
    mistakes = [
        *scaled(right, {7: "E is a mean over n = 7 samples: divide by n.", 1 / 7: "Divide by n = 7 once, not twice."}),
        *scaled(right, {-1: "A bias is added, so its gradient has the sign of the delta.", 2: "There is no square left here."}),
        Mistake("the mean runs over the units", both(lambda a: a.mean(0, keepdims=True)), "Average over the samples, axis 1."),
        Mistake("the sum runs over the units", both(lambda a: a.sum(0, keepdims=True)), "Average over the samples, axis 1."),
        Mistake("this sums, and loses an axis", both(lambda a: a.sum(1)), "Average over the samples; keep a column (units, 1)."),
        Mistake("the shape is (units,)", both(lambda a: a.mean(1)), "Keep a column (units, 1): it is added to (units, n)."),
        Mistake("all units get the same gradient", both(lambda a: a.mean()), "Average over the samples alone, axis 1."),
        Mistake("this divides by the units", both(lambda a: a.sum(1, keepdims=True) / len(a)), "n counts the samples, columns."),
        Mistake("each sample has its own gradient", both(lambda a: a), "The samples share a bias: average over them."),
    ]
    compare(your_bias_gradients(y, z), right, mistakes)
    return "With these two, backprop could train biases as well."


@judge
def check_relu_gradients(your_relu_gradients: Callable[..., Any]) -> str:
    """The function with the planted bug, mended: ReLU in the middle, no activation function at the end."""
    rng = np.random.default_rng(0)
    Wyx, Wzy, Xout, Zteach = (rng.normal(size=shape) for shape in ((5, 4), (3, 5), (4, 6), (3, 6)))
    Yin = Wyx @ Xout
    Yout = np.maximum(Yin, 0)
    delta = (Wzy @ Yout - Zteach) / 6

    def gradients(derivative: Any = Yin > 0, sent: np.ndarray = Yout) -> tuple[np.ndarray, np.ndarray]:
        return ((Wzy.T @ delta) * derivative) @ Xout.T, delta @ sent.T

    right = dict(zip(("dE_dWyx", "dE_dWzy"), gradients()))
    mistakes = [
        *_factors(right, 6),
        Mistake("the bug is still there", gradients(1), "After ReLU nothing is below 0, so `Yout >= 0` is always true."),
        Mistake("this multiplies by the output of ReLU", gradients(Yout), "Multiply by its derivative, 0 or 1."),
        Mistake("the derivative of ReLU is inverted", gradients(Yin <= 0), "It is 1 where the output is positive."),
        Mistake("dE_dWzy has the pre-activation", gradients(sent=Yin), "Wzy is multiplied by Yout, the output of ReLU."),
    ]
    compare(your_relu_gradients(Wyx, Wzy, Xout, Zteach), right, mistakes)
    return "The faulty one learns too, but a gradient check finds its fault."


@judge
def check_deep_gradients(your_deep_gradients: Callable[..., Any]) -> str:
    """The gradients of a network with two hidden layers, compared with central differences."""
    rng, n = np.random.default_rng(0), 6
    Whx, Wyh, Wzy = (rng.normal(size=(4, 4)) for _ in range(3))
    Xout, Zteach = rng.normal(size=(4, n)), rng.random((4, n))

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    def forward() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        H = sigmoid(Whx @ Xout)
        Y = sigmoid(Wyh @ H)
        return H, Y, sigmoid(Wzy @ Y)

    measured = central_differences(lambda: 0.5 * np.sum((forward()[-1] - Zteach) ** 2) / n, (Whx, Wyh, Wzy))
    right = dict(zip(("dE_dWhx", "dE_dWyh", "dE_dWzy"), measured))
    H, Y, Z = forward()
    dZ, dY, dH = (o * (1 - o) for o in (Z, Y, H))

    def chain(z: Any = dZ, y: Any = dY, h: Any = dH, back_y: np.ndarray = Wzy.T, back_h: np.ndarray = Wyh.T) -> tuple:
        """The three gradients, with another derivative at a layer or another matrix on the way back."""
        delta_z = (Z - Zteach) / n * z
        delta_y = (back_y @ delta_z) * y
        delta_h = (back_h @ delta_y) * h
        return delta_h @ Xout.T, delta_y @ H.T, delta_z @ Y.T

    twice = chain(*(sigmoid(o) * (1 - sigmoid(o)) for o in (Z, Y, H)))
    multiply = "Multiply by the derivative of the activation function, o (1 - o), at each layer."
    mistakes = [
        *_factors(right, n),
        Mistake("the derivative at Z is missing", chain(z=1), multiply),
        Mistake("the derivative at Y is missing", chain(y=1), multiply),
        Mistake("the derivative at H is missing", chain(h=1), multiply),
        Mistake("the derivative at H takes Yout", chain(h=dY), "Take the outputs of H itself."),
        Mistake("the derivatives at both hidden layers are missing", chain(y=1, h=1), multiply),
        Mistake("the derivatives at all layers are missing", chain(1, 1, 1), multiply),
        Mistake("the sigmoid is applied twice", twice, "Its derivative o (1 - o) takes the output o, not the pre-activation."),
        Mistake("Wzy isn't transposed", chain(back_y=Wzy), "The delta goes back through the transpose of Wzy."),
        Mistake("Wyh isn't transposed", chain(back_h=Wyh), "The delta goes back through the transpose of Wyh."),
        Mistake("neither matrix is transposed", chain(back_y=Wzy, back_h=Wyh), "The deltas go back through the transposes."),
        Mistake("from Y to H the delta goes through Wzy", chain(back_h=Wzy.T), "Between Y and H stands Wyh."),
    ]
    compare(your_deep_gradients(Whx, Wyh, Wzy, Xout, Zteach), right, mistakes)
    return "All three agree with central differences, and each further layer would repeat the same step."
