"""Notebook 04: steps a second of the GAN, its score against minutes of training, and how often a label is obeyed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from helpers.data import load_mnist
from tests.benchmarks.common import HAS_TORCH, Comparison, Stopwatch, main
from tests.notebook_code import fresh_definitions, run_tagged

HALF, BATCH = 16, 32


def classic_loop(names: SimpleNamespace, images: np.ndarray) -> Callable[[int], None]:
    """The classic loop of Keras calls: a function that takes a number of steps, on images (n, 28, 28, 1) in [-1, 1].

    It is repaired in the smallest way: the discriminator is compiled, and takes its first step, before the combined model
    freezes it, so that it really trains. The labels are made once, and nothing is printed.
    """
    keras, rng = names.keras, np.random.default_rng(0)

    def noise(count: int) -> np.ndarray:
        return rng.normal(size=(count, names.Z_DIM)).astype("float32")

    discriminator = keras.Sequential([names.build_discriminator(), keras.layers.Activation("sigmoid")])
    discriminator.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(2e-4, beta_1=0.5), metrics=["accuracy"])
    discriminator.train_on_batch(images[:HALF], np.ones((HALF, 1)))
    generator = names.build_generator()
    discriminator.trainable = False
    combined = keras.Sequential([generator, discriminator])
    combined.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(2e-4, beta_1=0.5))
    real, fake, valid = np.ones((HALF, 1)), np.zeros((HALF, 1)), np.ones((BATCH, 1))

    def steps(count: int) -> None:
        before = discriminator.get_weights()[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of the frozen discriminator, which is meant here
            for _ in range(count):
                generated = generator.predict(noise(HALF), verbose=0)
                discriminator.train_on_batch(images[rng.integers(len(images), size=HALF)], real)
                discriminator.train_on_batch(generated, fake)
                combined.train_on_batch(noise(BATCH), valid)
        assert not np.array_equal(before, discriminator.get_weights()[0]), "the discriminator stands still"

    return steps


def torch_loop(images: np.ndarray, fused: bool) -> Callable[[int], None]:
    """The same game in PyTorch, on images (n, 28, 28, 1) in [-1, 1]: a function that takes a number of steps."""
    import torch
    from torch import nn

    def dense(*widths: int, norm: bool) -> list[nn.Module]:
        parts: list[nn.Module] = []
        for before, after in zip(widths, widths[1:]):
            parts += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
            parts += [nn.BatchNorm1d(after, eps=1e-3, momentum=0.2)] if norm else []
        return parts

    generator = nn.Sequential(*dense(100, 256, 512, 1024, norm=True), nn.Linear(1024, 784), nn.Tanh())
    discriminator = nn.Sequential(*dense(784, 512, 256, norm=False), nn.Linear(256, 1))
    settings = {"lr": 2e-4, "betas": (0.5, 0.999), "eps": 1e-7, "fused": fused}
    of_g, of_d = torch.optim.Adam(generator.parameters(), **settings), torch.optim.Adam(discriminator.parameters(), **settings)
    loss, data = nn.BCEWithLogitsLoss(), torch.from_numpy(images).flatten(1)
    real, fake, valid = torch.ones(HALF, 1), torch.zeros(HALF, 1), torch.ones(BATCH, 1)

    def steps(count: int) -> None:
        for _ in range(count):
            with torch.no_grad():
                generator.eval()
                generated = generator(torch.randn(HALF, 100))
                generator.train()
            for seen, wanted in ((data[torch.randint(len(data), (HALF,))], real), (generated, fake)):
                of_d.zero_grad()
                loss(discriminator(seen), wanted).backward()
                of_d.step()
            of_g.zero_grad()
            discriminator.requires_grad_(False)  # its gradients are of no use in this half
            loss(discriminator(generator(torch.randn(BATCH, 100))), valid).backward()
            discriminator.requires_grad_(True)
            of_g.step()

    return steps


def steps_a_second(loop: Callable[[int], None], count: int, turn: int) -> dict[str, float]:
    if turn == 0:
        loop(20)  # compiled and warmed up before the clock starts
    clock = Stopwatch()
    loop(count)
    return {"steps a second": count / clock.seconds}


def sides_of_a_step() -> dict[str, Callable[[int], dict]]:
    names, mnist = fresh_definitions("04_mnist_gan"), load_mnist()
    images, gan = names.scaled(mnist.x_train), names.GAN(mnist.x_train)
    loops = {
        "classic loop": (classic_loop(names, images), 60),
        "ours": (lambda count: gan.train(count, batch_size=BATCH, save_interval=10**6, at_save=lambda step: None), 1000),
    }
    if HAS_TORCH:
        loops["PyTorch, eager"] = torch_loop(images, fused=False), 300
        loops["PyTorch, fused Adam"] = torch_loop(images, fused=True), 300

    return {name: partial(steps_a_second, *loop) for name, loop in loops.items()}


@lru_cache
def scoring() -> SimpleNamespace:
    """What notebook 04 defines, with MNIST and its trained evaluation network."""
    names = fresh_definitions("04_mnist_gan")
    names.mnist = load_mnist()
    names.steps = names.WHOLE if names.mnist.whole else names.SHORT
    run_tagged(names, "evaluation-network")
    return names


def training(gan: Any, steps: int, batch: int, *, looks: int = 10, labels: np.ndarray | None = None) -> dict:
    """Train one of the notebook's GANs, and look at its score on the way, off the clock.

    The samples are those of the averaged weights, where there are any. "curve" holds [minutes, score] of each look, "steps"
    how many steps had been done by then.
    """
    names, clock, done = scoring(), Stopwatch(), []
    model = getattr(gan, "averaged", gan.generator)

    def look(step: int) -> None:
        if step:
            done.append(step)
            clock.look(lambda: names.score(names.generate(model, names.count, labels)))

    gan.train(steps, batch, steps // looks, at_save=look)
    look(steps)
    curve = [[seconds / 60, score] for seconds, score in clock.curve]
    values = {"score": curve[-1][1], "minutes": curve[-1][0], "curve": curve, "steps": done}
    if labels is not None:
        _, digits, confidence = names.evaluate(names.generate(model, names.count, labels))
        shares = {"classified as asked, %": digits == labels, "confidence below 0.9, %": confidence < 0.9}
        values = {**{name: 100 * float(np.mean(found)) for name, found in shares.items()}, **values}
    return values


def sides_of_score() -> dict[str, Callable[[int], dict]]:
    names, run = scoring(), {}

    def compiled(turn: int) -> dict:
        run.update(training(names.GAN(names.mnist.x_train), names.steps["classic"], BATCH))
        return dict(run)

    def classic(turn: int) -> dict:
        loop = classic_loop(names, names.scaled(names.mnist.x_train))
        loop(20)
        clock = Stopwatch()
        loop(1000)
        minutes_a_step = clock.seconds / 60 / 1000
        curve = [[step * minutes_a_step, score] for step, (_, score) in zip(run["steps"], run["curve"])]
        return {**run, "minutes": curve[-1][0], "curve": curve}

    def smoothed(turn: int) -> dict:
        steps = names.steps["best"]
        return training(names.SmoothGAN(names.mnist.x_train, steps=steps), steps, 64)

    return {"the classic run, compiled": compiled, "the classic run, classic loop": classic, "the smoothed run": smoothed}


def sides_of_changes() -> dict[str, Callable[[int], dict]]:
    names = scoring()
    steps, tf = 2 * names.steps["best"] // 5, names.tf  # 6,000 on all of MNIST

    class FromMinusOne(names.SmoothGAN):
        build_networks = names.Game.build_networks

    class TwoUpdates(names.SmoothGAN):
        def __init__(self, *arguments: Any, steps: int) -> None:
            super().__init__(*arguments, steps=steps)
            rate = names.PolynomialDecay(2e-3, 2 * steps, 5e-5)  # it falls as before: two updates are one step
            self.d_optimizer = names.adam(rate, (0.0, 0.99))
            self.d_optimizer.build(self.discriminator.trainable_variables)

        def discriminator_step(self, real: Any, z: Any) -> tuple[Any, Any]:
            """An update on real images and the penalty, then one on generated images."""
            weights, losses = self.discriminator.trainable_variables, []
            for images, sign in ((real, 1.0), (self.fake(z, training=True), -1.0)):
                with tf.GradientTape() as tape:
                    loss = 0.5 * tf.reduce_mean(tf.nn.softplus(-sign * self.discriminator(images)))
                    if sign > 0:
                        loss += self.penalty * names.gradient_penalty(self.discriminator, images)
                self.d_optimizer.apply(tape.gradient(loss, weights), weights)
                losses.append(loss)
            return sum(losses), 0.5

    class LastWeights(names.SmoothGAN):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.averaged = self.generator  # so that it is the last weights that are scored

    def before(images: np.ndarray, *, steps: int) -> Any:
        return names.JointGAN(images, learning_rate=5e-4)

    taken_back: dict[str, tuple[Callable, dict]] = {
        "as it is": (names.SmoothGAN, {}),
        "without the penalty": (names.SmoothGAN, {"penalty": 0.0}),
        "inputs from -1": (FromMinusOne, {}),
        "Adam with momentum, β₁ = 0.5 and β₂ = 0.999": (names.SmoothGAN, {"betas": (0.5, 0.999)}),
        "a fixed rate of 1e-3": (names.SmoothGAN, {"learning_rate": 1e-3}),
        "two updates of the discriminator": (TwoUpdates, {}),
        "without the average": (LastWeights, {}),
        "the GAN of the section before": (before, {}),
    }

    def side(kind: Callable, options: dict, turn: int) -> dict[str, float]:
        gan = kind(names.mnist.x_train, steps=steps, **options)
        return {"score": training(gan, steps, 64, looks=1)["score"]}

    return {name: partial(side, *change) for name, change in taken_back.items()}


def sides_of_labels() -> dict[str, Callable[[int], dict]]:
    names = scoring()
    mnist, steps = names.mnist, names.steps["labels"]

    class WithoutWrongLabels(names.ConditionalGAN):
        discriminator_loss = names.SmoothGAN.discriminator_loss

    def side(kind: type, turn: int) -> dict[str, float]:
        gan = kind(mnist.x_train, mnist.y_train, steps=steps, seed=11 + turn)
        found = training(gan, steps, 64, looks=1, labels=mnist.y_test)
        return {metric: found[metric] for metric in ("score", "classified as asked, %", "confidence below 0.9, %")}

    return {"ours": partial(side, names.ConditionalGAN), "without wrong labels": partial(side, WithoutWrongLabels)}


COMPARISONS = {
    "gan-step": Comparison(
        "The GAN's step, 32 images",
        "16 real and 16 generated images for the discriminator, in two updates, then 32 for the generator. The classic loop "
        "calls `predict` and `train_on_batch`, and its discriminator is repaired so that it trains. PyTorch runs the same "
        "networks, with its usual Adam and with the fused one. Compiled and warmed up before the clock starts.",
        sides_of_a_step,
    ),
    "gan-score": Comparison(
        "The GAN's score against minutes of training",
        "The Fréchet distance of notebook 04 on 10,000 generated samples, by the notebook's own evaluation network, and the "
        "minutes of training without the looks at it. The classic loop does the same updates, so that it has the scores of the "
        "compiled one by their steps; its minutes come from a thousand of its steps.",
        sides_of_score,
        rounds=1,
    ),
    "gan-changes": Comparison(
        "The smoothed GAN, one change taken back",
        "The smoothed GAN of notebook 04 for 6,000 steps, the same with one of its changes taken back at a time, and the one of "
        "the section before; the score is that of the notebook, from one seed.",
        sides_of_changes,
        rounds=1,
    ),
    "gan-labels": Comparison(
        "The conditional generator, three seeds",
        "The conditional generator of notebook 04, asked for the digits of the test images: the score of 10,000 samples, and how "
        "many of them the notebook's evaluation network classifies as asked, and with little confidence. The last row, one seed, "
        "is without the real images with a wrong label among the discriminator's fakes.",
        sides_of_labels,
        rounds=3,
        once=("without wrong labels",),
    ),
}

if __name__ == "__main__":
    main(COMPARISONS)
