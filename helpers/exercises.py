"""The checks of the exercises: each says whether an answer is right and, where it is a known mistake, which one.

A check prints one line, and returns True if the answer is right, False if not, and None if nothing is written yet
(the answer returns None or `...`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def judge(answer: Callable[[], Any], verdict: Callable[[Any], str | None], praise: str) -> bool | None:
    """Call `answer`, let `verdict` name what is wrong with its result (None: nothing), and print one line.

    An answer that raises is told as "Not yet", with the error in words.
    """
    try:
        result = answer()
    except Exception as error:  # the reader's code may fail in any way
        print(f"Not yet: your code stopped with {type(error).__name__}: {error}")
        return False
    if result is None or result is ...:
        print("Not written yet.")
        return None
    try:
        mistake = verdict(result)
    except Exception as error:  # an answer of another kind than was asked for, which can't be compared
        mistake = f"that is not what was asked for: {error}. Are parentheses missing after a method?"
    print(f"Not yet: {mistake}" if mistake else f"Right. {praise}")
    return not mistake


# --- notebook 04 ---


def check_generator_loss(your_loss: Callable) -> bool | None:
    """Is it the mean of -log D on logits, also where D is zero to the computer?"""
    logits = np.array([[-2.0, 0.0], [0.5, 3.0]])
    right = float(np.mean(np.logaddexp(0, -logits)))

    def answer():
        with np.errstate(all="ignore"):
            result = your_loss(logits.copy())
            return result if result is None or result is ... else (result, your_loss(np.array([-1000.0, 1000.0])))

    def verdict(result) -> str | None:
        values, extreme = (np.asarray(value, dtype=float) for value in result)
        if values.shape != ():
            return f"expected one number, the mean, got an array of shape {values.shape}."
        real_side = float(np.mean(np.logaddexp(0, logits)))
        mistakes = [
            (real_side, "this is -log(1 - D), the discriminator's loss on drawn pictures: check the sign of the logit."),
            (-real_side, "this is log(1 - D), the game's own loss, flat where every fake is recognised. -log D is asked for."),
            (-right, "the sign is wrong: log D is negative, the loss is -log D."),
            (right * logits.size, "this is the sum, not the mean."),
            (right * 2, "divide by the number of logits, whatever their shape: `np.mean` does."),
            (np.nan, "the logits went into the logarithm as if they were probabilities."),
        ]
        if not np.isclose(values, right, rtol=1e-4):
            for value, mistake in mistakes:
                if np.isclose(values, value, rtol=1e-4, equal_nan=True):
                    return mistake
            return f"for the logits -2, 0, 0.5 and 3 it should be {right:.4f}, you have {float(values):.4f}."
        if not np.isclose(extreme, 500.0, rtol=1e-4):
            return (
                f"at logits of -1000 and 1000 it should be 500, you have {float(extreme)}: "
                "an exponential overflowed, or D was rounded before its logarithm."
            )
        return None

    return judge(answer, verdict, f"{right:.4f} for the logits -2, 0, 0.5 and 3, and 500 where D is zero to the computer.")


def check_running_average(your_average: Callable) -> bool | None:
    """Is it the running average from zero, divided by the sum of its weights?"""
    values, momentum = [4.0, 1.0, -2.0, 3.0, 5.0], 0.9

    def running(values: list[float], momentum: float, start: float = 0.0) -> float:
        for value in values:
            start = momentum * start + (1 - momentum) * value
        return start

    right = running(values, momentum) / (1 - momentum ** len(values))
    cold, n = running(values, momentum), len(values)
    inside = 0.0
    for number, value in enumerate(values, start=1):
        inside = (momentum * inside + (1 - momentum) * value) / (1 - momentum**number)
    mistakes = [
        (cold / (1 - momentum ** (n + 1)), "the power is the number of values: you count one too many."),
        (cold / (1 - momentum ** (n - 1)), "the power is the number of values: you count one too few."),
        (cold / momentum**n, "divide by 1 minus that power: this is the sum of the weights."),
        (inside, "divide once, after the last value, not at each step."),
        (running(values[::-1], momentum) / (1 - momentum**n), "the values are taken backwards: the last one counts most."),
        (cold, "the cold start is still in it: divide by the sum of the weights."),
        (running(values, 0.1) / (1 - 0.1**n), "momentum and 1 - momentum are exchanged."),
        (running(values[1:], momentum, values[0]), "this starts at the first value, which counts too much: start at zero."),
        (
            cold / (1 - momentum),
            "you divide by 1 - m, or left that factor out; divide by 1 minus m to the power of the number of values.",
        ),
        (float(np.mean(values)), "this is the plain mean: all values weigh the same."),
    ]

    def verdict(result) -> str | None:
        result = np.asarray(result, dtype=float)
        if result.shape != ():
            return f"expected one number for numbers, got an array of shape {result.shape}."
        if np.isclose(result, right):
            if not np.isclose(float(your_average(list(values), 0.5)), running(values, 0.5) / (1 - 0.5**n)):
                return "right for momentum 0.9 alone: use the momentum that is given."
            arrays = [np.array([value, -value]) for value in values]
            if not np.allclose(your_average(arrays, momentum), [right, -right]):
                return "right for numbers; a list of arrays should give an array."
            return None
        for value, mistake in mistakes:
            if np.isclose(result, value):
                return mistake
        return f"for 4, 1, -2, 3, 5 and momentum 0.9 it should be {right:.4f}, you have {float(result):.4f}."

    praise = f"{right:.4f} instead of {cold:.4f} after five values."
    return judge(lambda: your_average(list(values), momentum), verdict, praise)


def check_truncated_noise(your_noise: Callable) -> bool | None:
    """Is it normal noise without large numbers, redrawn and not cut off?"""
    n, limit = 400, 0.7

    def verdict(result) -> str | None:
        noise = np.asarray(result, dtype=float)
        if noise.shape != (n, 100):
            return f"expected noise of shape ({n}, 100), got {noise.shape}."
        if not np.isfinite(noise).all():
            return "there are numbers that are not finite."
        if np.abs(noise).max() > limit:
            return f"with limit {limit} there is still a number of size {np.abs(noise).max():.2f}."
        if np.mean(np.isclose(np.abs(noise), limit)) > 0.01:
            return "many numbers lie exactly on the limit: they were cut off. Draw them again."
        if np.mean(noise == 0) > 0.01:
            return "many numbers are exactly zero: large ones were replaced by zero. Draw them again."
        # the spread of a normal variable kept within ±0.7 is 0.391; scaled down or uniform noise has another
        spread = noise.std()
        if abs(spread - 0.391) > 0.006:
            return f"its spread is {spread:.3f}, that of redrawn normal noise is 0.391: was it scaled, or drawn from another law?"
        wide = np.asarray(your_noise(n, 2.0, np.random.default_rng(1)), dtype=float)
        # within ±2, a share of 0.715 of a normal variable lies within ±1; of a uniform one, a half
        if np.abs(wide).max() > 2 or np.abs(wide).max() < 1.9 or abs(np.mean(np.abs(wide) < 1) - 0.715) > 0.01:
            return "right for limit 0.7, but not for limit 2: is it the limit that is given, and the bell's shape?"
        return None

    praise = "No number beyond 0.7, and the bell's shape between: a spread of 0.391."
    return judge(lambda: your_noise(n, limit, np.random.default_rng(0)), verdict, praise)


def check_inversion(your_noise_for: Callable, generator: Callable) -> bool | None:
    """Does the noise that was found draw the given pictures, and is it noise at all?"""
    known = np.random.default_rng(5).normal(size=(8, 100)).astype(np.float32)
    pictures = np.asarray(generator(known, training=False))
    apart = float(np.mean((pictures - np.roll(pictures, 1, axis=0)) ** 2))

    def weights() -> list[np.ndarray]:
        return [np.array(weight) for weight in generator.get_weights()] if hasattr(generator, "get_weights") else []

    before, spoilt = weights(), []

    def verdict(result) -> str | None:
        noise = np.asarray(result, dtype=np.float32)
        if noise.shape == pictures.shape:
            return "you returned pictures; the noise that draws them is asked for."
        if noise.shape != known.shape:
            return f"expected noise of shape {known.shape}, got {noise.shape}."
        if spoilt:
            return spoilt[0]
        if not np.isfinite(noise).all():
            return "the noise holds numbers that are not finite: take smaller steps."
        difference = float(np.mean((np.asarray(generator(noise, training=False)) - pictures) ** 2))
        if not difference < apart / 4:
            return (
                f"the mean squared difference is {difference:.3f}; two drawings differ by {apart:.3f}. "
                "Take more steps, or larger ones."
            )
        return None

    def answer():
        spoilt.clear()
        try:
            result = your_noise_for(pictures.copy(), generator)
        finally:  # a generator that was trained is put back, also where the answer stops with an error
            changed = [not np.array_equal(a, b) for a, b in zip(before, weights(), strict=True)]
            if any(changed):
                generator.set_weights(before)
                trained = [any(w is t for t in generator.trainable_weights) for w in getattr(generator, "weights", [])]
                if trained and not any(c and t for c, t in zip(changed, trained, strict=True)):
                    spoilt.append("training=True moved the batch normalisation's averages: call it with training=False.")
                else:
                    spoilt.append("the generator has changed. Only the noise may be trained (its weights have been put back).")
        return result if result is None or result is ... else np.asarray(result)

    praise = f"Your noise draws them to within a quarter of the difference between two drawings ({apart:.2f}), or less."
    return judge(answer, verdict, praise)


# --- notebook 02 ---


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


# --- notebook 01 ---


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


# --- notebook 03 ---


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
