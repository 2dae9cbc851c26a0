"""The checks of the exercises of notebook 04."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from helpers.exercises.judge import judge


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
