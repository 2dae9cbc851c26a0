"""The checks of the exercises of notebook 02."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from helpers.exercises.judge import judge


def check_output_size(your_size: Callable[[int, int, int, str], Any]) -> bool | None:
    """Notebook 02: how many places a window has."""
    cases = [(28, 3, 1, "valid"), (28, 3, 1, "same"), (12, 2, 3, "valid"), (11, 2, 3, "same"), (7, 7, 2, "valid")]
    cases += [(13, 2, 3, "valid"), (10, 2, 3, "same"), (11, 2, 1, "same")]

    def right(size: int, kernel: int, stride: int, padding: str) -> int:
        return (size - kernel) // stride + 1 if padding == "valid" else -(-size // stride)

    def answer():
        results = [your_size(*case) for case in cases]
        return None if all(result is None or result is ... for result in results) else results

    def verdict(results: list) -> str | None:
        for (_, _, _, padding), result in zip(cases, results, strict=True):
            if result is None or result is ...:
                return f"for {padding!r} your function returns nothing yet."
        mistakes = {
            'under "valid" the window also stands at the very start: add one.': (
                lambda m, k, s, p: (m - k) // s if p == "valid" else None
            ),
            'under "valid" the last window must end inside the picture: round down.': (
                lambda m, k, s, p: -(-(m - k) // s) + 1 if p == "valid" else None
            ),
            "the stride is forgotten.": lambda m, k, s, p: m - k + 1 if p == "valid" else m,
            'under "same" a place that doesn\'t fill a whole stride counts too: round up.': (
                lambda m, k, s, p: m // s if p == "same" else None
            ),
            "the padding is forgotten.": lambda m, k, s, p: (m - k) // s + 1,
            'under "same" the kernel doesn\'t matter: every stride-th pixel has a window.': (
                lambda m, k, s, p: (m - k + 2 * (k // 2)) // s + 1 if p == "same" else None
            ),
        }
        wrong = {case: result for case, result in zip(cases, results, strict=True) if result != right(*case)}
        if not wrong:
            if all(float(result).is_integer() for result in results):
                return None
            return "expected whole numbers."
        for message, mistake in mistakes.items():
            if all(mistake(*case) == result for case, result in wrong.items()):
                return message
        (size, kernel, stride, padding), result = next(iter(wrong.items()))
        it_is = right(size, kernel, stride, padding)
        return f"for size {size}, kernel {kernel}, stride {stride}, {padding!r} you get {result!r}; it is {it_is}."

    return judge(answer, verdict, "28 pixels under a window of 3 have 26 places, and 28 if zeros are laid around.")


def check_true_convolution(your_convolution: Callable[[np.ndarray, np.ndarray], Any]) -> bool | None:
    """Notebook 02: a convolution as mathematics defines it, with the kernel turned round along both axes."""
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 6, 7, 2)), rng.normal(size=(3, 2, 2, 3))

    def slide(kernel: np.ndarray) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))  # (n, i, j, c, a, b)
        return np.einsum("nijcab,abcf->nijf", windows, kernel)

    mistakes = {
        "the kernel isn't turned round: this is the cross-correlation of conv2d itself.": kernel,
        "only the rows of the kernel are turned round; the columns too.": kernel[::-1],
        "only the columns of the kernel are turned round; the rows too.": kernel[:, ::-1],
        "the channels are turned round as well: they keep their order.": kernel[::-1, ::-1, ::-1],
        "the filters are turned round as well: they keep their order.": kernel[::-1, ::-1, :, ::-1],
        "channels and filters are turned round as well: they keep their order.": kernel[::-1, ::-1, ::-1, ::-1],
        "channels and filters are turned round; rows and columns should be.": kernel[:, :, ::-1, ::-1],
    }
    right = slide(kernel[::-1, ::-1])

    def verdict(result) -> str | None:
        result = np.asarray(result)
        if result.shape != right.shape:
            return f'expected answers of shape {right.shape}, stride one and "valid", got {result.shape}.'
        if np.allclose(result, right, atol=1e-5):
            return None
        for message, wrong in mistakes.items():
            if np.allclose(result, slide(wrong), atol=1e-5):
                return message
        return f"the shape is right, the numbers differ by up to {np.abs(result - right).max():.2g}."

    return judge(
        lambda: your_convolution(x.copy(), kernel.copy()),
        verdict,
        "A network learns its kernels, so it doesn't matter to it which way round they lie.",
    )


def check_fold(your_fold: Callable[..., Any]) -> bool | None:
    """Notebook 02: a batch normalisation folded into the convolution before it."""
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(3, 3, 4, 4)), rng.normal(size=4)
    gamma, beta, mean = rng.uniform(0.5, 2, 4), rng.normal(size=4), rng.normal(size=4)
    variance, epsilon = rng.uniform(0.1, 3, 4), 0.1

    def folded(factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return kernel * factor, (bias - mean) * factor + beta

    factor = gamma / np.sqrt(variance + epsilon)
    right = folded(factor)
    mistakes = {
        "the variance isn't under a root.": folded(gamma / (variance + epsilon)),
        "epsilon is forgotten.": folded(gamma / np.sqrt(variance)),
        "epsilon belongs under the root.": folded(gamma / (np.sqrt(variance) + epsilon)),
        "the kernel's input channels are scaled; filters are its last axis.": (kernel * factor[:, None], right[1]),
        "the old bias is forgotten.": (right[0], beta - mean * factor),
        "the old bias must be scaled too.": (right[0], bias - mean * factor + beta),
        "the mean must be scaled too.": (right[0], bias * factor - mean + beta),
        "the mean is forgotten.": (right[0], bias * factor + beta),
        "the mean is subtracted, not added.": (right[0], (bias + mean) * factor + beta),
        "beta is added after the scaling; it isn't scaled.": (right[0], (bias - mean + beta) * factor),
        "gamma is forgotten.": folded(1 / np.sqrt(variance + epsilon)),
        "the kernel isn't scaled.": (kernel, right[1]),
        "beta is forgotten.": (right[0], (bias - mean) * factor),
        "the bias must change too.": (right[0], bias),
        "gamma is forgotten in the kernel.": (kernel / np.sqrt(variance + epsilon), right[1]),
        "gamma is forgotten in the bias.": (right[0], (bias - mean) / np.sqrt(variance + epsilon) + beta),
        "the root divides, it doesn't multiply.": folded(gamma * np.sqrt(variance + epsilon)),
    }

    def nothing(part) -> bool:
        return part is None or part is ...

    def same(one: tuple, other: tuple) -> bool:
        return all(np.allclose(a, b, atol=1e-8) for a, b in zip(one, other, strict=True))

    def answer():
        result = your_fold(kernel.copy(), bias.copy(), gamma.copy(), beta.copy(), mean.copy(), variance.copy(), epsilon)
        return None if isinstance(result, (tuple, list)) and all(map(nothing, result)) else result

    def verdict(result) -> str | None:
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            return "expected two arrays, the new kernel and the new bias."
        for part, name in zip(result, ("kernel", "bias"), strict=True):
            if nothing(part):
                return f"the new {name} is still missing."
        result = tuple(np.asarray(part) for part in result)
        if result[0].shape == bias.shape and result[1].shape == kernel.shape:
            return "the new kernel first, then the new bias."
        if result[0].shape != kernel.shape or result[1].shape != bias.shape:
            return f"expected shapes {kernel.shape} and {bias.shape}, got {result[0].shape} and {result[1].shape}."
        if same(result, right):
            return None
        for message, wrong in mistakes.items():
            if same(result, wrong):
                return message
        which = "kernel" if not np.allclose(result[0], right[0], atol=1e-8) else "bias"
        return f"the new {which} differs by up to {max(np.abs(a - b).max() for a, b in zip(result, right, strict=True)):.2g}."

    return judge(answer, verdict, "One layer less, and the same answers: this is how networks are made ready for use.")
