"""Notebook 04: steps a second of the GAN, its score against minutes of training, and how often a label is obeyed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from types import SimpleNamespace

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


def sides_of_a_step() -> dict[str, Callable[[int], dict]]:
    names, mnist = fresh_definitions("04_mnist_gan"), load_mnist()
    images, gan = names.scaled(mnist.x_train), names.GAN(mnist.x_train)
    loops = {
        "classic loop": (classic_loop(names, images), 60),
        "ours": (lambda count: gan.train(count, batch_size=BATCH, save_interval=10**6, at_save=lambda epoch: None), 1000),
    }
    if HAS_TORCH:
        loops["PyTorch, eager"] = torch_loop(images, fused=False), 300
        loops["PyTorch, fused Adam"] = torch_loop(images, fused=True), 300

    def side(loop: Callable[[int], None], count: int, turn: int) -> dict[str, float]:
        loop(20 if turn == 0 else 0)  # compiled and warmed up before the clock starts
        clock = Stopwatch()
        loop(count)
        return {"steps a second": count / clock.seconds}

    return {name: partial(side, *loop) for name, loop in loops.items()}


@lru_cache
def scoring() -> SimpleNamespace:
    """What notebook 04 defines, with its data and its trained evaluation network."""
    names = fresh_definitions("04_mnist_gan")
    run_tagged(names, "data")
    run_tagged(names, "evaluation-network")
    return names


def training(tag: str, length: str, turn: int = 0, *, looks: int = 10, seed: int = 0, labels=None, shorter=1, **changes) -> dict:
    """Execute the cell of notebook 04 that carries `tag` and trains one GAN; look at its score on the way, off the clock.

    `length` names the notebook's number of steps, which is divided by `shorter`. "curve" holds [minutes, score] of each look,
    "steps" how many steps had been done by then. `changes` are options of the GAN that take the place of the cell's.
    """
    names = SimpleNamespace(**vars(scoring()))
    total = vars(names)[length] // shorter
    vars(names)[length] = total
    games, steps = [], []

    class Watched(names.GAN):
        def __init__(self, *data, **options) -> None:
            super().__init__(*data, **{**options, "seed": seed, **changes})
            games.append(self)
            self.clock = Stopwatch()

        def look(self, epoch: int) -> None:
            if epoch:
                steps.append(epoch)
                self.clock.look(lambda: names.score(names.drawn_by(self.averaged, names.count, labels)))

        def train(self, epochs, batch_size=128, save_interval=50, *, generator_batch=None, at_save=None) -> None:
            super().train(epochs, batch_size, total // looks, generator_batch=generator_batch, at_save=self.look)
            if self.epoch == total:
                self.look(total)

        def save_imgs(self, *arguments) -> None:
            """No pictures here."""

    names.GAN, names.no_pictures = Watched, None
    run_tagged(names, tag)
    (game,) = games
    assert game.epoch == total, f"expected a training of {total:,} steps, got {game.epoch:,}"
    curve = [[seconds / 60, score] for seconds, score in game.clock.curve]
    values = {"score": curve[-1][1], "minutes": curve[-1][0], "curve": curve, "steps": steps}
    if labels is not None:
        _, read, _ = names.seen(names.drawn_by(game.averaged, names.count, labels))
        values = {"read as asked, %": 100 * float(np.mean(read == labels)), **values}
    return values


def sides_of_score() -> dict[str, Callable[[int], dict]]:
    run: dict = {}

    def compiled(turn: int) -> dict:
        run.update(training("classic-run", "steps_classic"))
        return dict(run)

    def classic(turn: int) -> dict:
        names = scoring()
        loop = classic_loop(names, names.scaled(names.mnist.x_train))
        loop(20)
        clock = Stopwatch()
        loop(1000)
        minutes_a_step = clock.seconds / 60 / 1000
        curve = [[step * minutes_a_step, score] for step, (_, score) in zip(run["steps"], run["curve"])]
        return {**run, "minutes": curve[-1][0], "curve": curve}

    best = partial(training, "best-run", "steps_penalty")
    return {"the classic run, compiled": compiled, "the classic run, classic loop": classic, "the third step": best}


def sides_of_ablation() -> dict[str, Callable[[int], dict]]:
    taken_back: dict[str, dict] = {
        "as it is": {},
        "without the penalty": {"penalty": 0.0},
        "ink from -1": {"ink": False},
        "Adam with momentum, β₁ = 0.5 and β₂ = 0.999": {"betas": (0.5, 0.999)},
        "a fixed rate of 1e-3": {"learning_rate": 1e-3},
        "two updates of the discriminator": {"together": False},
        "without the average": {"average": 0.0},
    }

    def side(changes: dict, turn: int) -> dict[str, float]:
        return {"score": training("best-run", "steps_penalty", looks=1, shorter=3, **changes)["score"]}

    return {name: partial(side, changes) for name, changes in taken_back.items()}


def conditional(turn: int) -> dict:
    return training("conditional-run", "steps_labels", seed=11 + turn, labels=scoring().mnist.y_test)


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
        "The third step, one change taken back",
        "The third step of notebook 04 in a third of its training, and the same with one of its changes taken back at a time; "
        "the score is that of the notebook, from one seed. Where the discriminator takes two updates a step, its learning rate "
        "has fallen by the middle.",
        sides_of_ablation,
        rounds=1,
    ),
    "gan-labels": Comparison(
        "The conditional generator, three seeds",
        "The conditional generator of notebook 04 from three seeds, asked for the digits of the test images: how many of the "
        "10,000 generated samples the notebook's evaluation network reads as asked, their score, and the minutes of training.",
        lambda: {"ours": conditional},
        rounds=3,
    ),
}

if __name__ == "__main__":
    main(COMPARISONS)
