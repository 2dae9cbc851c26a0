"""The checks of the exercises of notebook 02, on convolution."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from helpers.exercises.judge import Mistake, NotYet, compare, judge, number


@judge
def check_output_size(your_size: Callable[[int, int, int, str], Any]) -> str:
    """How many positions a window has: (size, kernel, stride, padding) → a whole number."""
    cases = {
        "valid": [(28, 3, 1), (12, 2, 3), (7, 7, 2), (13, 2, 3), (29, 5, 4)],
        "same": [(28, 3, 1), (11, 2, 3), (10, 2, 3), (11, 2, 1), (12, 4, 3)],
    }
    rules = [lambda m, k, s: (m - k) // s + 1, lambda m, k, s: math.ceil(m / s)]

    def sizes(valid: Callable[[int, int, int], float] = rules[0], same: Callable[[int, int, int], float] = rules[1]) -> tuple:
        return tuple(np.array([rule(*case) for case in group]) for rule, group in zip((valid, same), cases.values()))

    right = dict(zip(cases, sizes()))
    down, up = "The last window must end inside the image.", "The last stride counts as well, even if it isn't whole."
    mistakes = [
        Mistake('under "valid" one is missing', sizes(lambda m, k, s: (m - k) // s), "The first window counts too."),
        Mistake('under "valid" one is added too early', sizes(lambda m, k, s: (m - k + 1) // s), "Add it after dividing."),
        Mistake('under "valid" this rounds up', sizes(lambda m, k, s: math.ceil((m - k) / s) + 1), f"Round down. {down}"),
        Mistake('under "valid" this rounds to the nearest', sizes(lambda m, k, s: round((m - k) / s) + 1), f"Round down. {down}"),
        Mistake('under "valid" this doesn\'t round', sizes(lambda m, k, s: (m - k) / s + 1), f"Round down. {down}"),
        Mistake('under "valid" this is the size of "same"', sizes(rules[1]), down),
        Mistake("the stride is forgotten", sizes(lambda m, k, s: m - k + 1, lambda m, k, s: m), "It divides the size."),
        Mistake('under "same" this rounds down', sizes(same=lambda m, k, s: m // s), f"Round up. {up}"),
        Mistake('under "same" this doesn\'t round', sizes(same=lambda m, k, s: m / s), f"Round up. {up}"),
        Mistake("the padding is forgotten", sizes(same=rules[0]), 'Under "same" there is a window for every stride-th pixel.'),
        Mistake(
            'under "same" the size depends on the kernel',
            sizes(same=lambda m, k, s: (m - k + 2 * (k // 2)) // s + 1),
            "Zero padding makes up for it: there is a window for every stride-th pixel.",
        ),
    ]

    def call(padding: str, i: int) -> str:
        return f"your_size{(*cases[padding][i], padding)}"

    def size(padding: str, i: int) -> float:
        try:
            return number(your_size(*cases[padding][i], padding), "the size")
        except NotYet as wrong:
            raise NotYet(f"for {call(padding, i)}: {wrong}") from wrong

    found = [[size(padding, i) for i in range(len(group))] for padding, group in cases.items()]
    compare(found, right, mistakes, lambda padding, index: call(padding, index[0]))
    return "Every size that was tried is right, under either padding."


@judge
def check_true_convolution(your_convolution: Callable[[np.ndarray, np.ndarray], Any]) -> str:
    """A convolution as mathematics defines it, of images (n, h, w, c) with a kernel (kh, kw, c, filters)."""
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 6, 7, 2)), rng.normal(size=(3, 2, 2, 3))
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))  # (n, i, j, c, a, b)

    def slide(kernel: np.ndarray) -> np.ndarray:
        return np.einsum("nijcab,abcf->nijf", windows, kernel)

    keep = "They keep their order: flip the first two axes only."
    mistakes = [
        Mistake("the kernel isn't flipped", slide(kernel), "This is the cross-correlation that conv2d itself gives."),
        Mistake("only the rows of the kernel are flipped", slide(kernel[::-1]), "Flip its columns as well."),
        Mistake("only the columns of the kernel are flipped", slide(kernel[:, ::-1]), "Flip its rows as well."),
        Mistake("the channels are flipped as well", slide(kernel[::-1, ::-1, ::-1]), keep),
        Mistake("the filters are flipped as well", slide(kernel[::-1, ::-1, :, ::-1]), keep),
        Mistake("channels and filters are flipped as well", slide(kernel[::-1, ::-1, ::-1, ::-1]), keep),
        Mistake(
            "channels and filters are flipped", slide(kernel[:, :, ::-1, ::-1]), "Flip rows and columns instead, the first axes."
        ),
    ]
    compare(your_convolution(x, kernel), {'the output (stride 1, "valid")': slide(kernel[::-1, ::-1])}, mistakes)
    return "A network that learns its kernels can do with either definition."


@judge
def check_fold(your_fold: Callable[..., Any]) -> str:
    """The kernel and the bias of a convolution into which the batch normalisation behind it has been folded."""
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(3, 3, 4, 4)), rng.normal(size=4)
    gamma, beta, mean = rng.uniform(0.5, 2, 4), rng.normal(size=4), rng.normal(size=4)
    variance, epsilon = rng.uniform(0.1, 3, 4), 0.1
    root = np.sqrt(variance + epsilon)
    factor = gamma / root

    def folded(factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return kernel * factor, (bias - mean) * factor + beta

    new_kernel, new_bias = folded(factor)
    mistakes = [
        Mistake("the root is missing", folded(gamma / (variance + epsilon)), "The variance is the square of what divides."),
        Mistake("epsilon is forgotten", folded(gamma / np.sqrt(variance)), "It is added to the variance."),
        Mistake("epsilon is added to the root", folded(gamma / (np.sqrt(variance) + epsilon)), "It belongs under the root."),
        Mistake("the root multiplies", folded(gamma * root), "It divides."),
        Mistake("gamma is forgotten", folded(1 / root), "It multiplies what is normalised."),
        Mistake("gamma is forgotten in the kernel", (kernel / root, new_bias), "It multiplies all that is normalised."),
        Mistake(
            "gamma is forgotten in the bias", (new_kernel, (bias - mean) / root + beta), "It multiplies all that is normalised."
        ),
        Mistake("the kernel isn't scaled", (kernel, new_bias), "It needs the same factor as the bias."),
        Mistake("the input channels are scaled", (kernel * factor[:, None], new_bias), "The filters are the kernel's last axis."),
        Mistake("the bias hasn't changed", (new_kernel, bias), "It is normalised too, and beta is added."),
        Mistake("the old bias is forgotten", (new_kernel, beta - mean * factor), "It is normalised too."),
        Mistake("the old bias isn't scaled", (new_kernel, bias - mean * factor + beta), "It is normalised too."),
        Mistake("the mean is forgotten", (new_kernel, bias * factor + beta), "It is subtracted before the scaling."),
        Mistake("the mean isn't scaled", (new_kernel, bias * factor - mean + beta), "It is subtracted before the scaling."),
        Mistake("the mean is added", (new_kernel, (bias + mean) * factor + beta), "It is subtracted."),
        Mistake("beta is forgotten", (new_kernel, (bias - mean) * factor), "It is added at the end."),
        Mistake("beta is scaled", (new_kernel, (bias - mean + beta) * factor), "It is added after the scaling."),
    ]
    result = your_fold(kernel, bias, gamma, beta, mean, variance, epsilon)
    compare(result, {"the new kernel": new_kernel, "the new bias": new_bias}, mistakes)
    return "One layer less and the same outputs: networks are prepared for use this way."
