"""The checks of the exercises of notebook 01."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from helpers.exercises.judge import judge


def check_dtanh(your_dtanh: Callable[[Any], Any]) -> bool | None:
    """Notebook 01: the slope of tanh, told from its output."""
    o = np.tanh(np.linspace(-3, 3, 7))
    mistakes = {
        "that is right for what goes in; you are given what came out, which has been through tanh already.": 1 - np.tanh(o) ** 2,
        "that is the slope of the sigmoid.": o * (1 - o),
        "the sign is the wrong way round: tanh rises everywhere.": o**2 - 1,
        "the output is squared in 1 - o².": 1 - o,
        "that is tanh itself, not its slope.": np.tanh(o),
    }

    def verdict(result) -> str | None:
        result = np.asarray(result)
        if result.shape != o.shape:
            return f"expected as many slopes as outputs, shape {o.shape}, got {result.shape}."
        if np.allclose(result, 1 - o**2, atol=1e-9):
            return None
        for message, wrong in mistakes.items():
            if np.allclose(result, wrong, atol=1e-9):
                return message
        return f"where the output is 0 the slope is 1, you say {result[3]:.3g}; at 0.964 it is 0.071, you say {result[5]:.3g}."

    praise = "At most 1, four times as steep as the sigmoid: it lets more of the error through."
    return judge(lambda: your_dtanh(o.copy()), verdict, praise)


def _written(result: Any) -> Any:
    """None for a tuple with a part that is not written yet."""
    return None if isinstance(result, tuple) and any(part is None or part is ... for part in result) else result


def _judge_gradients(
    answer: Callable[[], Any], right: dict[str, np.ndarray], mistakes: dict[str, dict[str, np.ndarray]], praise: str
) -> bool | None:
    """Compare a tuple of gradients with `right`, name by name; `mistakes` tells, by message, what a wrong answer holds."""

    def same(one: np.ndarray, other: np.ndarray) -> bool:
        return np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=1e-6, atol=1e-9)

    def verdict(result) -> str | None:
        if not isinstance(result, (tuple, list)) or len(result) != len(right):
            return f"expected {len(right)} arrays: {', '.join(right)}."
        came = dict(zip(right, map(np.asarray, result), strict=True))
        for message, wrong in mistakes.items():
            if all(same(came[name], array) for name, array in wrong.items()):
                return message
        for name, array in right.items():
            if came[name].shape != array.shape:
                return f"expected {name} of shape {array.shape}, got {came[name].shape}."
            if not same(came[name], array):
                distance = np.linalg.norm(came[name] - array) / np.linalg.norm(array)
                return f"{name} is {distance:.2g} of its length away from the measured gradient."
        return None

    return judge(lambda: _written(answer()), verdict, praise)


def check_bias_gradients(your_bias_gradients: Callable[..., Any]) -> bool | None:
    """Notebook 01: the gradients of two biases, from the slopes at the sums they are added to."""
    rng = np.random.default_rng(0)
    y, z = rng.normal(size=(4, 6)), rng.normal(size=(3, 6))

    def both(reduce: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
        return {"dE_dby": reduce(y), "dE_dbz": reduce(z)}

    mistakes = {
        "both are n times too large: the error is a mean over the n samples.": both(lambda a: a.sum(1, keepdims=True)),
        "the wrong axis: add up over the samples (axis 1), not over the nodes.": both(lambda a: a.mean(0, keepdims=True)),
        "the wrong axis, and no division by n.": both(lambda a: a.sum(0, keepdims=True)),
        "the right numbers, but of shape (nodes,): added to (nodes, n) they would run along the samples. Keep a column.": both(
            lambda a: a.mean(1)
        ),
        "the wrong axis: without axis=1 all nodes get the same slope.": both(lambda a: a.mean()),
        "n is the number of samples (columns), not of nodes.": both(lambda a: a.sum(1, keepdims=True) / len(a)),
        "a sample has no bias of its own: take the mean over the samples.": both(lambda a: a),
        "dE_dby comes first, then dE_dbz.": {"dE_dby": z.mean(1, keepdims=True), "dE_dbz": y.mean(1, keepdims=True)},
    }
    praise = "A bias is a weight whose input is always 1, so its gradient is the mean of what comes back."
    right = both(lambda a: a.mean(1, keepdims=True))
    return _judge_gradients(lambda: your_bias_gradients(y.copy(), z.copy()), right, mistakes, praise)


def check_relu_gradients(your_relu_gradients: Callable[..., Any]) -> bool | None:
    """Notebook 01: the planted bug, a slope of ReLU that is always 1."""
    rng = np.random.default_rng(0)
    Wyx, Wzy, Xout, Zteach = (rng.normal(size=shape) for shape in ((5, 4), (3, 5), (4, 6), (3, 6)))

    def gradients(
        slope: Callable[[np.ndarray], np.ndarray] = lambda Yin: Yin > 0, n: int = 6, sign: float = 1, rectified: bool = True
    ) -> dict[str, np.ndarray]:
        Yin = Wyx @ Xout
        Yout = np.maximum(Yin, 0)
        dE_dZin = sign * (Wzy @ Yout - Zteach)
        dE_dYin = (Wzy.T @ dE_dZin) * slope(Yin)
        return {"dE_dWyx": dE_dYin @ Xout.T / n, "dE_dWzy": dE_dZin @ (Yout if rectified else Yin).T / n}

    mistakes = {
        "the bug is still there: what has been through ReLU is never below 0, so `>= 0` is always true.": gradients(
            lambda Yin: 1.0
        ),
        "both are n times too large: the error is a mean over the n samples.": gradients(n=1),
        "the factor is ReLU's slope (0 or 1), not its output.": gradients(lambda Yin: np.maximum(Yin, 0)),
        "the wrong half is held back: the slope is 1 where something came through.": gradients(lambda Yin: Yin <= 0),
        "the sign is the wrong way round: Zout - Zteach.": gradients(sign=-1),
        "dE_dWzy needs what Y sends on, after ReLU, not what came in.": gradients(rectified=False),
    }
    praise = "The wrong one learns too, since a wrong slope often still leads down. Only a gradient check tells."
    return _judge_gradients(
        lambda: your_relu_gradients(Wyx.copy(), Wzy.copy(), Xout.copy(), Zteach.copy()), gradients(), mistakes, praise
    )


def check_deep_gradients(your_deep_gradients: Callable[..., Any]) -> bool | None:
    """Notebook 01: the gradients of a network with two hidden layers, measured by central differences."""
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=shape) for name, shape in {"Whx": (4, 4), "Wyh": (4, 4), "Wzy": (4, 4)}.items()}
    Xout, Zteach = rng.normal(size=(4, 6)), rng.random((4, 6))

    def bend(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    def error() -> float:
        answer = Xout
        for W in weights.values():
            answer = bend(W @ answer)
        return 0.5 * np.sum((answer - Zteach) ** 2) / Xout.shape[1]

    right = {}
    for name, W in weights.items():
        slopes = right[f"dE_d{name}"] = np.empty_like(W)
        for place in np.ndindex(W.shape):
            weight, E = W[place], []
            for nudge in (1e-5, -1e-5):
                W[place] = weight + nudge
                E.append(error())
            W[place] = weight
            slopes[place] = (E[0] - E[1]) / 2e-5

    def slope(o: np.ndarray) -> np.ndarray:
        return o * (1 - o)

    H = bend(weights["Whx"] @ Xout)
    Y = bend(weights["Wyh"] @ H)
    Z = bend(weights["Wzy"] @ Y)

    def chain(
        at_z: Any, at_y: Any, at_h: Any, n: int = 6, back_y: np.ndarray | None = None, back_h: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        dZ = (Z - Zteach) * at_z
        dY = ((weights["Wzy"].T if back_y is None else back_y) @ dZ) * at_y
        dH = ((weights["Wyh"].T if back_h is None else back_h) @ dY) * at_h
        return {"dE_dWhx": dH @ Xout.T / n, "dE_dWyh": dY @ H.T / n, "dE_dWzy": dZ @ Y.T / n}

    z, y, h = slope(Z), slope(Y), slope(H)
    mistakes = {
        "all three are n times too large: the error is a mean over the n samples.": chain(z, y, h, 1),
        "the bend of Z is left out.": chain(1, y, h),
        "the bend of Y is left out.": chain(z, 1, h),
        "the bend of H is left out.": chain(z, y, 1),
        "the bends of the hidden layers are left out.": chain(z, 1, 1),
        "the slope is taken of what has been through the sigmoid already: f' is o (1 - o), with o the output.": chain(
            slope(bend(Z)), slope(bend(Y)), slope(bend(H))
        ),
        "backwards through Wzy needs its transpose.": chain(z, y, h, back_y=weights["Wzy"]),
        "backwards through Wyh needs its transpose.": chain(z, y, h, back_h=weights["Wyh"]),
        "backwards both matrices need to be transposed.": chain(z, y, h, back_y=weights["Wzy"], back_h=weights["Wyh"]),
        "from Y to H the error goes back through Wyh, not through Wzy again.": chain(z, y, h, back_h=weights["Wzy"].T),
    }
    reverse = dict(zip(right, reversed(chain(z, y, h).values()), strict=True))
    mistakes["the order is dE_dWhx, dE_dWyh, dE_dWzy."] = reverse
    return _judge_gradients(
        lambda: your_deep_gradients(*(W.copy() for W in weights.values()), Xout.copy(), Zteach.copy()),
        right,
        mistakes,
        "One more layer is the same three products once more; a hundred would be, too.",
    )
