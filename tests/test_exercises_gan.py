"""The checks of the exercises of notebook 04."""

import numpy as np
import pytest

from helpers import exercises


@pytest.fixture(scope="module")
def gan04(definitions):
    return definitions("04_mnist_gan")


def weights(model):
    return [np.array(weight) for weight in model.get_weights()]


def equal(these, those):
    return all(np.array_equal(a, b) for a, b in zip(these, those, strict=True))


def softplus(a):
    return np.logaddexp(0, a)


def plain_average(values, momentum, divide=True):
    mean = 0.0
    for value in values:
        mean = momentum * mean + (1 - momentum) * value
    return mean / (1 - momentum ** len(values)) if divide else mean


def redrawn(n, limit, rng):
    noise = rng.normal(size=(n, 100))
    while (far := np.abs(noise) > limit).any():
        noise[far] = rng.normal(size=far.sum())
    return noise


def crash(*_):
    raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize(
    ("check", "answer", "said"),
    [
        ("check_generator_loss", lambda a: softplus(-a).mean(), "Right. "),
        ("check_generator_loss", lambda a: softplus(a).mean(), "the sign of the logit"),
        ("check_generator_loss", lambda a: -softplus(a).mean(), "flat where every fake is recognised"),
        ("check_generator_loss", lambda a: -softplus(-a).mean(), "the loss is -log D"),
        ("check_generator_loss", lambda a: softplus(-a).sum(), "the sum, not the mean"),
        ("check_generator_loss", lambda a: softplus(-a), "expected one number"),
        ("check_generator_loss", lambda a: -np.log(a).mean(), "as if they were probabilities"),
        ("check_generator_loss", lambda a: -np.log(1 / (1 + np.exp(-a))).mean(), "rounded before its logarithm"),
        ("check_generator_loss", lambda a: softplus(-a).sum() / len(a), "whatever their shape"),
        ("check_generator_loss", lambda a: np.log(1 + np.exp(-a)).mean(), "an exponential overflowed"),
        ("check_running_average", plain_average, "Right. "),
        ("check_running_average", lambda v, m: plain_average(v, 0.9), "the momentum that is given"),
        ("check_running_average", lambda v, m: float(np.ravel(plain_average(v, m))[0]), "should give an array"),
        ("check_running_average", lambda v, m: plain_average(v, m, divide=False) / (1 - m ** (len(v) + 1)), "one too many"),
        ("check_running_average", lambda v, m: plain_average(v, m, divide=False) / (1 - m ** (len(v) - 1)), "one too few"),
        ("check_running_average", lambda v, m: plain_average(v, m, divide=False) / m ** len(v), "by 1 minus that power"),
        ("check_running_average", lambda v, m: plain_average(v[::-1], m), "backwards"),
        ("check_running_average", lambda v, m: plain_average(v, m, divide=False), "cold start"),
        ("check_running_average", lambda v, m: plain_average(v, 1 - m), "exchanged"),
        ("check_running_average", lambda v, m: plain_average(v, m, divide=False) / (1 - m), "to the power of"),
        ("check_running_average", lambda v, m: np.mean(v), "the plain mean"),
        ("check_truncated_noise", redrawn, "Right. "),
        ("check_truncated_noise", lambda n, limit, rng: rng.normal(size=(n, 100)), "still a number of size"),
        ("check_truncated_noise", lambda n, limit, rng: np.clip(rng.normal(size=(n, 100)), -limit, limit), "they were cut off"),
        ("check_truncated_noise", lambda n, limit, rng: rng.uniform(-limit, limit, (n, 100)), "its spread is"),
        ("check_truncated_noise", lambda n, limit, rng: rng.uniform(-0.677, 0.677, (n, 100)), "but not for limit 2"),
        ("check_truncated_noise", lambda n, limit, rng: redrawn(n, 0.7, rng), "but not for limit 2"),
        ("check_truncated_noise", lambda n, limit, rng: redrawn(n, limit, rng) + np.nan, "not finite"),
        ("check_truncated_noise", lambda n, limit, rng: redrawn(n, limit, rng).T, "expected noise of shape"),
    ],
)
def test_the_checks_accept_what_is_right_and_name_the_known_mistakes(check, answer, said, capsys):
    right = getattr(exercises, check)(answer)
    out = capsys.readouterr().out
    assert said in out and out.count("\n") == 1
    assert right == said.startswith("Right")


def test_the_check_of_the_inverse_accepts_the_noise_and_refuses_pictures_and_a_changed_generator(gan04, capsys):
    class Linear:
        """A generator that can be inverted by hand."""

        def __init__(self):
            self.matrix = np.random.default_rng(0).normal(size=(100, 784)).astype("float32")

        def __call__(self, noise, training):
            return (np.asarray(noise) @ self.matrix).reshape(-1, 28, 28, 1)

        def get_weights(self):
            return [self.matrix.copy()]

        def set_weights(self, new):
            self.matrix = new[0]

    generator = Linear()

    def invert(pictures, generator):
        return pictures.reshape(-1, 784) @ np.linalg.pinv(generator.matrix)

    def cheat(pictures, generator):
        generator.matrix *= 2
        return invert(pictures, generator)

    assert exercises.check_inversion(invert, generator) is True
    assert exercises.check_inversion(lambda pictures, generator: pictures, generator) is False
    assert exercises.check_inversion(cheat, generator) is False
    assert exercises.check_inversion(lambda pictures, generator: np.zeros((8, 100)), generator) is False
    said = capsys.readouterr().out
    for part in ("Right.", "you returned pictures", "the generator has changed", "mean squared difference"):
        assert part in said

    def spoil_and_stop(pictures, generator):
        generator.matrix = generator.matrix * 2
        raise ZeroDivisionError("division by zero")

    before = generator.matrix.copy()
    assert exercises.check_inversion(spoil_and_stop, generator) is False
    assert np.array_equal(generator.matrix, before)


def test_the_check_of_the_inversion_tells_moved_statistics_from_a_trained_generator(gan04, capsys):
    generator = gan04.build_generator()

    def with_training(pictures, generator):
        generator(np.ones((8, 100), "float32"), training=True)
        return np.zeros((8, 100))

    before = weights(generator)
    assert exercises.check_inversion(with_training, generator) is False
    assert "call it with training=False" in capsys.readouterr().out
    assert equal(before, weights(generator))


@pytest.mark.parametrize("check", ["check_generator_loss", "check_running_average", "check_truncated_noise"])
def test_the_checks_say_when_nothing_is_written_and_survive_a_crash(check, capsys):
    assert getattr(exercises, check)(lambda *_: ...) is None
    assert getattr(exercises, check)(crash) is False
    said = capsys.readouterr().out
    assert said == "Not written yet.\nNot yet: your code stopped with ZeroDivisionError: division by zero\n"
