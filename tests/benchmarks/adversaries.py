"""Notebook 04: steps a second of the GAN, its score against minutes of training, and how often a label is obeyed."""

from __future__ import annotations

import types
import warnings

import numpy as np

from helpers.data import load_mnist
from tests.benchmarks.harness import Metric, Side, Stopwatch, Values, comparison, has_torch, notebook, run_cell, seconds_of

HALF, BATCH = 16, 32


def classic_loop(names: types.SimpleNamespace, images: np.ndarray):
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
                drawn = generator.predict(noise(HALF), verbose=0)
                discriminator.train_on_batch(images[rng.integers(len(images), size=HALF)], real)
                discriminator.train_on_batch(drawn, fake)
                combined.train_on_batch(noise(BATCH), valid)
        assert not np.array_equal(before, discriminator.get_weights()[0]), "the discriminator stands still"

    return steps


def torch_loop(images: np.ndarray, fused: bool):
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
                drawn = generator(torch.randn(HALF, 100))
                generator.train()
            for seen, wanted in ((data[torch.randint(len(data), (HALF,))], real), (drawn, fake)):
                of_d.zero_grad()
                loss(discriminator(seen), wanted).backward()
                of_d.step()
            of_g.zero_grad()
            for weight in discriminator.parameters():  # its gradients are of no use in this half
                weight.requires_grad_(False)
            loss(discriminator(generator(torch.randn(BATCH, 100))), valid).backward()
            for weight in discriminator.parameters():
                weight.requires_grad_(True)
            of_g.step()

    return steps


@comparison("The GAN's step, 32 images", Metric("steps a second", "more"), peers=("PyTorch, eager", "PyTorch, fused Adam"))
def gan_step() -> dict[str, Side]:
    """16 real and 16 generated images for the discriminator, in two updates, then 32 for the generator. The classic loop calls
    `predict` and `train_on_batch`, and its discriminator is repaired so that it trains. PyTorch runs the same networks, with
    its usual Adam and with the fused one. Compiled and warmed up before the clock starts."""
    names, mnist = notebook("04_mnist_gan"), load_mnist()
    images = names.scaled(mnist.x_train)
    gan = names.GAN(mnist.x_train)
    loops = {
        "classic loop": (classic_loop(names, images), 60),
        "ours": (lambda count: gan.train(count, batch_size=BATCH, save_interval=10**6, at_save=lambda epoch: None), 1000),
    }
    if has_torch():
        loops["PyTorch, eager"] = torch_loop(images, fused=False), 300
        loops["PyTorch, fused Adam"] = torch_loop(images, fused=True), 300
    for steps, _ in loops.values():
        steps(20)

    def side(steps, count: int) -> Side:
        taken = seconds_of(lambda turn: steps(count))
        return lambda turn: count / taken(turn)

    return {name: side(*loop) for name, loop in loops.items()}


def with_a_judge() -> types.SimpleNamespace:
    """What notebook 04 defines, with its data and its trained reader, scoring as the notebook does."""
    names = notebook("04_mnist_gan")
    run_cell(names, "trap_steps, steps_classic")
    run_cell(names, "reader, eyes = build_reader()")
    return names


def watched_run(
    names: types.SimpleNamespace,
    cell: str,
    length: int,
    *,
    looks: int = 10,
    seed: int = 0,
    labels: np.ndarray | None = None,
    changes: dict | None = None,
) -> Values:
    """Execute the notebook's cell that contains `cell` and trains one GAN for `length` steps; look at its score on the way.

    The looks are off the clock. "curve" holds [minutes, score] of each, "steps" how many steps had been done by then. `changes`
    are options of the GAN that take the place of the cell's.
    """
    clock, games, steps, curve, original = Stopwatch(), [], [], [], names.GAN

    def look(epoch: int) -> None:
        if epoch:
            with clock.paused():
                steps.append(epoch)
                curve.append([clock.seconds / 60, names.score(names.drawn_by(games[0].averaged, names.count, labels))])

    class Watched(original):
        def __init__(self, *data, **options) -> None:
            games.append(self)
            super().__init__(*data, **{**options, "seed": seed, **(changes or {})})

        def train(
            self, epochs: int, batch_size: int = 128, save_interval: int = 50, *, generator_batch=None, at_save=None
        ) -> None:
            with clock:
                super().train(epochs, batch_size, length // looks, generator_batch=generator_batch, at_save=look)

        def save_imgs(self, epoch: int, rows: int = 5, columns: int = 5) -> None:
            """No pictures here."""

    names.GAN, names.no_pictures = Watched, None
    try:
        run_cell(names, cell)
    finally:
        names.GAN = original
    minutes, (game,) = clock.seconds / 60, games
    assert game.epoch == length, f"expected a training of {length:,} steps, got {game.epoch:,}"
    with clock:
        look(length)
    values: Values = {"score": curve[-1][1], "minutes": minutes, "curve": curve, "steps": steps}
    if labels is not None:
        _, read, _ = names.seen(names.drawn_by(game.averaged, names.count, labels))
        values["read as asked, %"] = 100 * float(np.mean(read == labels))
    return values


@comparison(
    "The GAN's score against minutes of training", Metric("score"), Metric("minutes"), rounds=1, ours="the classic run, compiled"
)
def gan_score() -> dict[str, Side]:
    """The Fréchet distance of notebook 04 on 10,000 drawings, by the notebook's own reader, and the minutes of training without
    the looks at it. The classic loop does the same updates, so that it has the scores of the compiled one by their steps; its
    minutes come from a thousand of its steps."""
    names, so_far = with_a_judge(), {}

    def compiled(turn: int) -> Values:
        so_far["run"] = watched_run(names, "gan = GAN(mnist.x_train)\n", names.steps_classic)
        return so_far["run"]

    def classic(turn: int) -> Values:
        loop, run = classic_loop(names, names.scaled(names.mnist.x_train)), so_far["run"]
        loop(20)
        a_step = seconds_of(lambda turn: loop(1000))(turn) / 1000
        curve = [[step * a_step / 60, score] for step, (_, score) in zip(run["steps"], run["curve"])]
        return {"score": run["score"], "minutes": curve[-1][0], "curve": curve, "steps": run["steps"]}

    def third_rung(turn: int) -> Values:
        return watched_run(names, "gentle = GAN(mnist.x_train", names.steps_penalty)

    return {"the classic run, compiled": compiled, "the classic run, classic loop": classic, "the third rung": third_rung}


@comparison("The third rung, one change taken back", Metric("score"), rounds=1, ours="as it is")
def gan_changes() -> dict[str, Side]:
    """The third rung of notebook 04 in a third of its steps, and the same with one of its changes taken back at a time; the score
    is that of the notebook, from one seed. Where the discriminator takes two updates a step, its learning rate has fallen by
    the middle."""
    names = with_a_judge()
    names.steps_penalty //= 3
    taken_back: dict[str, dict] = {
        "as it is": {},
        "without the penalty": {"penalty": 0.0},
        "ink from -1": {"ink": False},
        "Adam with a memory, 0.5 and 0.999": {"betas": (0.5, 0.999)},
        "a fixed rate of 1e-3": {"learning_rate": 1e-3},
        "two updates of the discriminator": {"together": False},
        "without the average": {"average": 0.0},
    }

    def side(changes: dict) -> Side:
        cell, steps = "gentle = GAN(mnist.x_train", names.steps_penalty
        return lambda turn: watched_run(names, cell, steps, looks=1, changes=changes)["score"]

    return {name: side(changes) for name, changes in taken_back.items()}


@comparison(
    "The conditional generator, three seeds", Metric("read as asked, %", ""), Metric("score"), Metric("minutes"), rounds=3
)
def gan_labels() -> dict[str, Side]:
    """The conditional generator of notebook 04 from three seeds, asked for the digits of the test images: how many of the 10,000
    drawings the notebook's reader reads as asked, their score, and the minutes of training."""
    names = with_a_judge()
    labels = names.mnist.y_test

    def ours(turn: int) -> Values:
        return watched_run(names, "told = GAN(mnist.x_train", names.steps_labels, seed=11 + turn, labels=labels)

    return {"ours": ours}
