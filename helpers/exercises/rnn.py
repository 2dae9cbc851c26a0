"""The checks of the exercises of notebook 03."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from helpers.exercises.judge import judge


def _recur(x, W, U, b):
    """h (series, steps) of h_t = W x_t + U h_(t-1) + b."""
    h = np.zeros_like(x, dtype=float)
    before = np.zeros(len(x))
    for t in range(x.shape[1]):
        before = h[:, t] = W * x[:, t] + U * before + b
    return h


def check_average(your_numbers: Callable) -> bool | None:
    """Are these the W, U and b of an average that moves a tenth of the way towards each new number?"""

    def verdict(result):
        try:
            W, U, b = (float(number) for number in result)
        except (TypeError, ValueError):
            return f"expected three numbers W, U, b, got {result!r}."
        if np.allclose((W, U, b), (0.1, 0.9, 0), rtol=0, atol=1e-6):
            return None
        if abs(b) > 1e-6:
            return f"with b = {b:g} something is added even when all numbers are 0, and an average of zeros is 0."
        if np.allclose((W, U), (0.9, 0.1)):
            return "W and U are the wrong way round: yours goes nine tenths towards each new number."
        if np.allclose((W, U), (0.1, 1)):
            return "you left out the old average that is taken away: 0.1 (x - a) also lowers what is kept, so U is not 1."
        if abs(U) >= 1:
            return f"with U = {U:g} nothing is ever forgotten."
        if abs(W / (1 - U) - 1) > 1e-6:
            return f"fed with nothing but ones, yours settles at {W / (1 - U):.3g}; an average settles at 1: W + U = 1."
        return f"yours moves {W:g} of the way towards each new number, not 0.1."

    return judge(your_numbers, verdict, "W = 0.1 and U = 0.9 sum to 1, which makes it an average: fed with ones it settles at 1.")


def check_half_life(your_half_life: Callable) -> bool | None:
    """Does it find, from what went in and what came out, after how many steps a number counts half?"""
    factors = (0.5, 0.9, 0.98)

    def answer():
        rng = np.random.default_rng(0)
        results = []
        for U in factors:
            x = rng.normal(size=(8, 60))
            result = your_half_life(x, _recur(x, 1 - U, U, 0.0))
            if result is None or result is ...:
                return None
            if np.ndim(result):
                return f"return one number, not an array of shape {np.shape(result)}."
            results.append(float(result))
        return results

    def verdict(results):
        if isinstance(results, str):
            return results
        results, U = np.array(results), np.array(factors)
        right = np.log(0.5) / np.log(U)
        if np.allclose(results, right, rtol=1e-3):
            return None
        if np.allclose(results, U, atol=1e-3):
            return "you return U itself. Now find the n for which U to the n-th is one half."
        if np.allclose(results, 1 - U, atol=1e-3):
            return "you return W, the share of a new number. The memory is in U."
        if np.allclose(results, -right, rtol=1e-3):
            return "the size is right and the sign is not: log(0.5) is negative, and so is log(U)."
        if np.allclose(results, 1 / (1 - U), rtol=1e-3) or np.allclose(results, -1 / np.log(U), rtol=1e-3):
            return "that is the time after which a number counts 1/e, about 0.37 times; asked is one half."
        if np.allclose(results, np.ceil(right)) or np.allclose(results, np.round(right)):
            return "you rounded to whole steps: leave the number as it is."
        i = np.argmax(np.abs(results / right - 1))
        return f"for U = {U[i]} you return {results[i]:.3g} steps, and it is {right[i]:.3g}."

    return judge(answer, verdict, "With U = 0.98 a number still counts half after 34 steps, with U = 0.5 after one.")


def check_distance(your_two_memories: Callable) -> bool | None:
    """Do two linear units turn acceleration into distance and speed?"""

    def run(W, U, b, x):
        h, out = np.zeros(2), []
        for number in x:
            h = number * W[0] + h @ U + b
            out.append(h)
        return np.array(out)

    def verdict(result):
        try:
            W, U, b = (np.asarray(part, float) for part in result)
        except (TypeError, ValueError):
            return "expected three arrays W, U, b."
        if (W.shape, U.shape, b.shape) != ((1, 2), (2, 2), (2,)):
            return f"expected the shapes (1, 2), (2, 2) and (2,), got {W.shape}, {U.shape} and {b.shape}."
        x = np.random.default_rng(0).normal(size=12)
        speed = x.cumsum()
        distance = speed.cumsum()
        h = run(W, U, b, x)
        if np.allclose(h, np.stack([distance, speed], axis=1)):
            return None
        if np.allclose(run(W, U.T, b, x), np.stack([distance, speed], axis=1)):
            return "U is transposed: h stands to the left of U as a row, so row i says where memory i goes."
        if np.allclose(h[:, ::-1], np.stack([distance, speed], axis=1)):
            return "both memories are right but in the wrong order: h = (s, v), distance first."
        if np.allclose(h[:, 1], speed) and np.allclose(h[1:, 0], distance[:-1]):
            return "the distance is one step late: it adds the old speed. Put v_t = v_(t-1) + x_t into the equation of s_t."
        if np.allclose(h[:, 1], speed) and np.allclose(h[:, 0], speed):
            return "both memories hold the speed: s must keep what it has, and take up v as well."
        if not np.allclose(h[:, 1], speed):
            first = f"{x[0]:.2f} and {x[1]:.2f}"
            return f"the speed is wrong: after accelerations {first} it is {speed[1]:.2f}, and yours {h[1, 1]:.2f}."
        return f"the speed is right, the distance is not: after two steps it is {distance[1]:.2f}, and yours {h[1, 0]:.2f}."

    praise = "One layer sums twice: U has 1 on its diagonal, to remember, and 1 beside it, to pass on."
    return judge(your_two_memories, verdict, praise)


def check_last_gradient(your_gradient: Callable) -> bool | None:
    """Is it the gradient of the loss that looks at the last step alone?"""
    rng = np.random.default_rng(0)
    x, y_last, at = rng.normal(size=(6, 7)), rng.normal(size=6), np.array([0.8, 0.9, 0.3])

    def loss(numbers):
        return np.mean((_recur(x, *numbers)[:, -1] - y_last) ** 2)

    right = np.array([(loss(at + s) - loss(at - s)) / 2e-5 for s in 1e-5 * np.eye(3)])

    def answer():
        result = your_gradient(x.copy(), y_last.copy(), *at)
        if result is None or result is ...:
            return result
        if any(np.ndim(part) for part in result):
            return "return the three derivatives alone, without the loss."
        return np.array([float(part) for part in result])

    def close(a, b):
        return np.linalg.norm(a - b) < 1e-6 * np.linalg.norm(b)

    def verdict(result):
        if isinstance(result, str):
            return result
        if result.shape != (3,):
            return f"expected three derivatives, got {len(result)}."
        if close(result, right):
            return None
        if close(-result, right):
            return "every sign is turned round: blame is h - y, not y - h."
        for factor, reason in (
            (0.5, "a factor of two is missing: the derivative of a square"),
            (6, "divide by the number of series: the loss is their mean"),
            (3, "divide by the number of series, and mind the two of the square"),
            (1 / 7, "you divide by the number of steps, but only one of them is in the loss"),
            (1 / 14, "you divide by the number of steps, and lack the two of the square"),
        ):
            if close(result, factor * right):
                return f"each derivative is {factor:.3g} times what it should be: {reason}."
        h = _recur(x, *at)
        e = 2 * (h[:, -1] - y_last) / len(x)
        if close(result, np.array([(e * x[:, -1]).sum(), (e * h[:, -2]).sum(), e.sum()])):
            return "you stop after the last step: the blame has to go back through U to all the steps before."
        back = np.array([e * at[1] ** (x.shape[1] - 1 - t) for t in range(x.shape[1])]).T
        if close(result, np.array([(back * x).sum(), (back * h).sum(), back.sum()])):
            return "dL/dU is wrong: U multiplied h_(t-1), the memory before the step, not h_t."
        every = 2 * (h - y_last[:, None]) / len(x)
        for t in range(x.shape[1] - 2, -1, -1):
            every[:, t] += at[1] * every[:, t + 1]
        before = np.concatenate([np.zeros((len(h), 1)), h[:, :-1]], axis=1)
        if any(close(result * factor, np.array([(every * x).sum(), (every * before).sum(), every.sum()])) for factor in (1, 7)):
            return "you compare every step with y_last; only the last one is in the loss."
        off = np.abs(result - right) > 1e-6 * np.abs(right)
        wrong = " and ".join(name for name, is_off in zip(("dL/dW", "dL/dU", "dL/db"), off, strict=True) if is_off)
        verb = "differs" if off.sum() == 1 else "differ"
        return f"{wrong} {verb} from finite differences: {result.round(4)} against {right.round(4)}."

    return judge(answer, verdict, "Your gradient agrees with finite differences.")
