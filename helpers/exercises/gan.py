"""The checks of the exercises of notebook 04, on losses, averages and noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from helpers.exercises.judge import Mistake, NotYet, compare, judge, number, numbers, same, scaled


@judge
def check_generator_loss(your_loss: Callable[[np.ndarray], Any]) -> str:
    """The mean of -log D on logits of any shape, also where D is 0 in floating point."""
    logits = np.array([[-2.0, 0.0], [0.5, 3.0]])
    right = {"the loss": np.mean(np.logaddexp(0, -logits))}
    real = np.mean(np.logaddexp(0, logits))
    mistakes = [
        Mistake("this is -log(1 - D)", real, "The discriminator has it for generated samples: check the sign of the logit."),
        Mistake("this is log(1 - D)", -real, "It is flat where D recognises every generated sample: take -log D."),
        *scaled(right, {-1: "log D is negative, so the loss is -log D."}),
        *scaled(right, {4: "Take the mean, not the sum.", 2: "Divide by the number of logits."}),
        Mistake("this is the mean of D, without a logarithm", np.mean(1 / (1 + np.exp(-logits))), "Take -log of each D."),
    ]
    loss = number(your_loss(logits), "the loss")
    if np.isnan(loss):
        raise NotYet("the logits went into the logarithm as if they were probabilities.")
    compare(loss, right, mistakes)
    try:
        loss = number(your_loss(np.array([-1000.0, 1000.0])), "the loss")
    except NotYet as wrong:
        raise NotYet(f"right for small logits, but for logits of -1000 and 1000 {wrong} Avoid exp of large numbers.") from wrong
    if not same(loss, 500):
        raise NotYet(
            f"right for small logits, but for logits of -1000 and 1000 the loss should be 500, you have {loss:.4g}: "
            "an exponential overflowed, or D was rounded to 0 or clipped before its logarithm."
        )
    return "It holds for small logits, and where D is zero in floating point."


@judge
def check_running_average(your_average: Callable[[list, float], Any]) -> str:
    """The exponential moving average from zero, divided by the sum of its weights."""
    values, m, n = [4.0, 1.0, -2.0, 3.0, 5.0], 0.9, 5

    def average(values: Sequence[float], momentum: Sequence[float], mean: float = 0.0) -> float:
        """The plain moving average, with the momentum of each step."""
        for keep, value in zip(momentum, values):
            mean = keep * mean + (1 - keep) * value
        return mean

    def unbiased(values: Sequence[float], momentum: float) -> float:
        return average(values, [momentum] * n) / (1 - momentum**n)

    biased, each_step = average(values, [m] * n), 0.0
    for t in range(n):
        each_step = average(values[t : t + 1], [m], each_step) / (1 - m ** (t + 1))
    rising = [[min(m, (1 + t) / (10 + t)) for t in range(first, first + n)] for first in (0, 1)]
    rule = "min(m, n / (n + 9)) is the notebook's other way to forget the start; here divide by the sum of the weights."
    mistakes = [
        Mistake("the cold start is still in it", biased, "Divide by the sum of the weights."),
        Mistake("the power is one too many", biased / (1 - m ** (n + 1)), "It is the number of values."),
        Mistake("the power is one too few", biased / (1 - m ** (n - 1)), "It is the number of values."),
        Mistake("this divides by the power", biased / m**n, "Divide by 1 minus that power, the sum of the weights."),
        Mistake("this divides by 1 - m, or lacks that factor", biased / (1 - m), "The weights sum to 1 minus a power of m."),
        Mistake("this divides at each step", each_step, "Divide once, after the last value."),
        Mistake("the values are taken backwards", unbiased(values[::-1], m), "The last value weighs most."),
        Mistake("m and 1 - m are exchanged", unbiased(values, 1 - m), "The old average keeps a part m."),
        Mistake("this starts at the first value", average(values[1:], [m] * n, values[0]), "Start at zero."),
        Mistake("this is the plain mean", np.mean(values), "The last value weighs most."),
        *(Mistake("the momentum rises", average(values, momentum), rule) for momentum in rising),
        *(Mistake("the momentum rises", average(values[1:], momentum, values[0]), rule) for momentum in rising),
    ]
    compare(number(your_average(values, m), "the average"), {"the average": unbiased(values, m)}, mistakes)
    if not same(number(your_average(values, 0.5), "the average"), unbiased(values, 0.5)):
        raise NotYet("right for a momentum of 0.9 alone: use the momentum that is given.")
    try:
        found = numbers(your_average([np.array([value, -value]) for value in values], m), "the average")
    except NotYet as wrong:
        raise NotYet(f"right for numbers, but with a list of arrays {wrong}") from wrong
    if not same(found, unbiased(values, m) * np.array([1, -1])):
        raise NotYet("right for numbers, but a list of arrays should give the array of their averages.")
    return "It holds for numbers and for arrays, and for another momentum."


@judge
def check_truncated_noise(your_noise: Callable[[int, float, np.random.Generator], Any]) -> str:
    """Normal noise (n, 100) from rng without numbers beyond the limit, which are drawn anew."""
    n, limit, beyond = 400, 0.7, 0.484  # the share of a normal variable beyond ±0.7

    def draw(limit: float, seed: int) -> np.ndarray:
        noise = numbers(your_noise(n, limit, np.random.default_rng(seed)), "the noise")
        if noise.shape != (n, 100):
            raise NotYet(f"expected noise of shape ({n}, 100), got {noise.shape}.")
        if not np.isfinite(noise).all():
            raise NotYet("there are numbers that are not finite.")
        return noise

    noise = draw(limit, 0)
    size = np.abs(noise)
    share = np.mean(size > limit)
    if abs(share - beyond) < 0.02:
        raise NotYet(f"{share:.0%} of the numbers are beyond {limit}, as in normal noise: none was drawn again.")
    if share:
        again = " Drawn again, a number may be too large again: repeat until none is." if share < 0.3 else ""
        raise NotYet(f"{share:.2%} of the numbers are beyond the limit of {limit}.{again}")
    if np.mean(np.isclose(size, limit)) > 0.01:
        raise NotYet("many numbers lie on the limit: they were clipped. Draw them again.")
    if np.mean(noise == 0) > 0.01:
        raise NotYet("many numbers are 0: large ones were replaced. Draw them again.")
    if len(np.unique(noise)) < 0.99 * noise.size:
        raise NotYet("the same numbers occur again and again: draw every one of the n times 100 by itself.")
    if not np.array_equal(draw(limit, 0), noise):
        raise NotYet("two calls with an rng of the same seed should give the same noise: draw from the rng that is given.")
    if np.array_equal(draw(limit, 1), noise):
        raise NotYet("an rng of another seed should give other noise: draw from the rng that is given.")
    # A normal variable within ±0.7 has a standard deviation of 0.391; within ±2, a share of 0.715 lies within ±1.
    if abs(noise.std() - 0.391) > 0.006:
        raise NotYet(
            f"the standard deviation is {noise.std():.3f}, not 0.391 as of redrawn normal noise: is it scaled or uniform?"
        )
    size = np.abs(draw(2.0, 1))
    if size.max() > 2 or abs(np.mean(size < 1) - 0.715) > 0.01:
        raise NotYet("right for a limit of 0.7, but not for 2: use the limit that is given, and draw normal noise.")
    return "Nothing is beyond the limit, and within it the noise is normal."


@judge
def check_inversion(your_noise_for: Callable[..., Any], generator: Any) -> str:
    """Noise (n, 100) with which a generator (a Keras model, left as it was) draws the images it is given."""
    known = np.random.default_rng(5).normal(size=(8, 100)).astype(np.float32)
    images = np.asarray(generator(known, training=False))
    apart = float(np.mean((images - np.roll(images, 1, axis=0)) ** 2))
    before = [np.array(weights) for weights in generator.get_weights()]
    try:
        result = your_noise_for(images, generator)
    finally:  # also where the answer stops with an error
        changed = [not np.array_equal(old, new) for old, new in zip(before, generator.get_weights())]
        generator.set_weights(before)
    if isinstance(result, (tuple, list)) and len(result) == 2:
        raise NotYet("expected the noise alone, got two values.")
    noise = numbers(result, "the noise").astype(np.float32)
    if noise.shape == images.shape:
        raise NotYet("you returned images; the noise with which the generator draws them is asked for.")
    if noise.shape != known.shape:
        raise NotYet(f"expected noise of shape {known.shape}, got {noise.shape}.")
    if any(changed):
        trained = [any(weight is each for each in generator.trainable_weights) for weight in generator.weights]
        if any(trained) and not any(is_changed and is_trained for is_changed, is_trained in zip(changed, trained)):
            raise NotYet("training=True changed the statistics of batch normalisation: call the generator with training=False.")
        raise NotYet("the generator has changed. Only the noise may be trained (its weights have been put back).")
    if not np.isfinite(noise).all():
        raise NotYet("the noise holds numbers that are not finite: take smaller steps.")
    difference = float(np.mean((np.asarray(generator(noise, training=False)) - images) ** 2))
    if not difference < apart / 4:
        raise NotYet(
            f"the mean squared difference is {difference:.3f}; two generated samples differ by {apart:.3f}. "
            "Take more steps, or larger ones."
        )
    if not 0.5 < noise.std() < 2:
        raise NotYet(
            f"it draws the images, but isn't noise: its standard deviation is {noise.std():.2g} instead of about 1. "
            "Start at normal noise, and take smaller steps."
        )
    return f"A mean squared difference of {difference:.3f}, where two generated samples differ by {apart:.3f}."
