"""The checks of the exercises of notebook 03, on a linear recurrent network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from helpers.exercises.judge import Mistake, NotYet, central_differences, compare, judge, number, parts, same, scaled


def recur(x: np.ndarray, W: float, U: float, b: float) -> np.ndarray:
    """h (series, steps) of h_t = W x_t + U h_(t-1) + b."""
    h = np.zeros((len(x), x.shape[1] + 1))
    for t in range(x.shape[1]):
        h[:, t + 1] = W * x[:, t] + U * h[:, t] + b
    return h[:, 1:]


@judge
def check_average(your_numbers: Callable[[], Any]) -> str:
    """W, U and b of an average that moves a tenth of the way towards each new number."""
    W, U, b = parts(your_numbers(), "WUb", number)
    if same([W, U, b], [0.1, 0.9, 0.0]):
        return "Fed with a constant, it settles there, as an average should."
    if abs(b) > 1e-6:
        raise NotYet(f"with b = {b:g} something is added even when all numbers are 0, and an average of zeros is 0.")
    if same([W, U], [0.9, 0.1]):
        raise NotYet("W and U are exchanged. Yours moves nine tenths of the way towards each new number.")
    if same([W, U], [0.1, 1.0]):
        raise NotYet("the old average is kept whole. 0.1 (x - h) takes a tenth of it away.")
    if abs(U) >= 1:
        raise NotYet(f"with U = {U:g} nothing is ever forgotten.")
    if not same(W / (1 - U), 1):
        raise NotYet(f"fed with nothing but ones, yours settles at {W / (1 - U):.3g}; an average settles at 1.")
    raise NotYet(f"yours moves {W:g} of the way towards each new number, not 0.1.")


@judge
def check_half_life(your_half_life: Callable[[np.ndarray, np.ndarray], Any]) -> str:
    """After how many steps a number counts half, from what went in and what came out, (series, steps) each."""
    U = np.array([0.5, 0.9, 0.98])
    right = {"the half-life": np.log(0.5) / np.log(U)}
    half = right["the half-life"]
    mistakes = [
        Mistake("this is U", U, "Find the n for which U to the power of n is one half."),
        Mistake("this is W", 1 - U, "W is the weight of a new number; what is remembered depends on U."),
        Mistake("this is the time constant", -1 / np.log(U), "After it a number counts 1/e, about 0.37; asked is one half."),
        Mistake("this is 1 / (1 - U)", 1 / (1 - U), "It is near the time after which a number counts 1/e; asked is one half."),
        Mistake("the quotient is upside down", 1 / half, "Solve Uⁿ = 1/2 for n: n log U = log 1/2."),
        *(Mistake("this is rounded", rounded(half), "Leave the number as it is.") for rounded in (np.ceil, np.floor, np.rint)),
        *scaled(right, {-1: "log(0.5) is negative, and so is log(U)."}),
    ]
    rng, found = np.random.default_rng(0), []
    for factor in U:
        x = rng.normal(size=(8, 60))
        found.append(number(your_half_life(x, recur(x, 1 - factor, factor, 0.0)), "the half-life"))
    compare(found, right, mistakes, lambda name, index: f"for U = {U[index]} {name}")
    return "It finds a short, a longer and a long memory."


@judge
def check_distance(your_two_memories: Callable[[], Any]) -> str:
    """W (1, 2), U (2, 2) and b (2,) of two linear units that turn acceleration into distance and speed."""
    x = np.random.default_rng(0).normal(size=12)
    v = x.cumsum()
    s = v.cumsum()

    def run(W: np.ndarray, U: np.ndarray, b: np.ndarray) -> np.ndarray:
        states = [np.zeros(2)]
        for acceleration in x:
            states.append(acceleration * W[0] + states[-1] @ U + b)
        return np.transpose(states[1:])

    late = np.append(0, s[:-1])
    goes = "Row i of U says where entry i of h = (distance, speed) goes."
    old = "It adds the old speed: put the equation of the speed into that of the distance"
    mistakes = [
        Mistake("U is transposed, or the order is (speed, distance)", (v, s), goes),
        Mistake("the distance is one step late", (late, v), f"{old}."),
        Mistake("the distance is one step late, and the order is (speed, distance)", (v, late), f"{old}, which comes first."),
        Mistake("both units hold the speed", (v, v), "The distance keeps what it has, and adds the speed."),
    ]
    shapes = {"W": (1, 2), "U": (2, 2), "b": (2,)}
    found = parts(your_two_memories(), shapes)
    for part, (name, shape) in zip(found, shapes.items()):
        if part.shape != shape:
            raise NotYet(f"expected {name} of shape {shape}, got {part.shape}.")
    right = {"the distance": s, "the speed": v}
    compare(run(*found), right, mistakes, lambda name, index: f"after {index[0] + 1} accelerations {name}")
    return "One layer sums twice, and no example was needed."


@judge
def check_last_gradient(your_gradient: Callable[..., Any]) -> str:
    """The three derivatives of the loss that looks at the last step alone, compared with central differences."""
    rng = np.random.default_rng(0)
    x, y_last, at = rng.normal(size=(6, 7)), rng.normal(size=6), np.array([0.8, 0.9, 0.3])
    (measured,) = central_differences(lambda: np.mean((recur(x, *at)[:, -1] - y_last) ** 2), [at])
    right = dict(zip(("dL/dW", "dL/dU", "dL/db"), measured))
    (n, steps), U, h = x.shape, at[1], recur(x, *at)
    before = np.concatenate([np.zeros((n, 1)), h[:, :-1]], axis=1)
    delta = 2 * (h - y_last[:, None]) / n
    powers = U ** np.arange(steps - 1, -1, -1)

    def gradient(delta: np.ndarray = delta[:, -1:] * powers, memory: np.ndarray = before) -> tuple[float, ...]:
        return (delta * x).sum(), (delta * memory).sum(), delta.sum()

    every = delta.copy()  # backpropagation through time of the loss at every step
    for t in range(steps - 2, -1, -1):
        every[:, t] += U * every[:, t + 1]
    each_step = [gradient(delta), gradient(every), gradient(every / steps)]
    factors = {
        -1: "The delta is h - y, not y - h.",
        1 / 2: "The derivative of a square has a factor of two.",
        2: "The factor of two of the square counts once.",
        n: "The loss is a mean: divide by the number of series.",
        n / 2: "Divide by the number of series, and mind the two of the square.",
        1 / n: "Divide by the number of series once.",
        1 / steps: "You divide by the number of steps, but only one of them is in the loss.",
        0.5 / steps: "You divide by the number of steps, but one is in the loss; and the two of the square is missing.",
        U: "A power of U too many: the delta of the last step is not multiplied by U.",
        1 / U: "A power of U is missing: the delta of the step before the last is multiplied by U once.",
    }
    last = delta[:, -1:]
    alone = "Only the last step is in the loss: there the delta is 2 (h - y_last) / N."
    mistakes = [
        *scaled(right, factors),
        Mistake("the delta stops at the last step", gradient(last * (powers == 1)), "It goes back through U to all steps."),
        Mistake("a power of U is missing", gradient(last * np.minimum(1, powers / U)), "Each step back multiplies by U."),
        Mistake("the delta isn't multiplied by U", gradient(last * np.ones(steps)), "Each step back multiplies by U."),
        Mistake("dL/dU has h_t", gradient(memory=h), "U multiplies h_(t-1), the state before the step."),
        *(Mistake("every step is compared with y_last", wrong, alone) for wrong in each_step),
    ]
    result = your_gradient(x, y_last, *at)
    if isinstance(result, (tuple, list)) and (len(result) == 4 or (len(result) == 2 and np.size(result[1]) == 3)):
        raise NotYet("return the three derivatives alone, without the loss.")
    compare(result, right, mistakes)
    return "It agrees with central differences."
