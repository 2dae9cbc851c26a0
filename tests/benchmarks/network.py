"""Notebook 02: the plain network's epoch, and how long it takes to 99.0 and to 99.5 % of the test images."""

from __future__ import annotations

import time

import numpy as np

from helpers.data import load_mnist
from tests.benchmarks.harness import Metric, Side, Stopwatch, Values, comparison, has_torch, notebook, seconds_of

GOALS = (99.0, 99.5)


def plain_in_torch():
    """The plain network in PyTorch, for (n, 1, 28, 28)."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def better_in_torch():
    """The better network in PyTorch, for (n, 1, 28, 28)."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.MaxPool2d(2), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3), nn.MaxPool2d(2), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Conv2d(64, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.Flatten(), nn.Dropout(0.25),
        nn.Linear(576, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.25), nn.Linear(64, 10),
    )  # fmt: skip


def torch_step(network, optimizer, images: np.ndarray, labels: np.ndarray) -> None:
    """One step of `network` on images (n, 28, 28, 1) and labels (n,)."""
    import torch

    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(network(x), torch.from_numpy(labels)).backward()
    optimizer.step()


@comparison("The plain network of notebook 02", Metric("seconds an epoch"), rounds=3, peers=("PyTorch, 32", "PyTorch, 128"))
def cnn_epoch() -> dict[str, Side]:
    """An epoch of the 60,000 images with Adam, in mini-batches of 32 (as Keras has them unless told) or 128 images. Traced and
    compiled before the clock starts."""
    import keras

    mnist, cnn = load_mnist(), notebook("02_keras_cnn_mnist")
    x, y = cnn.pixels(mnist.x_train), mnist.y_train.astype("int64")

    class Epoch(keras.callbacks.Callback):
        """Times an epoch from the end of its first step, when all is compiled."""

        def on_train_batch_end(self, batch, logs=None):
            if batch == 0:
                self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            steps = self.params["steps"]
            self.seconds = (time.perf_counter() - self.start) * steps / (steps - 1)

    def by_default(batch_size: int) -> Side:
        def epoch(turn: int) -> float:
            network, clock = cnn.build_plain(), Epoch()
            network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            network.fit(x, y, batch_size=batch_size, verbose=0, callbacks=[clock])
            return clock.seconds

        return epoch

    def ours(turn: int) -> float:
        network, clock = cnn.build_plain(), Epoch()
        cnn.train(network, x, y, epochs=1, seed=turn, callbacks=[clock])
        return clock.seconds

    def by_torch(batch_size: int) -> Side:
        import torch

        def epoch(turn: int) -> None:
            network = plain_in_torch()
            optimizer = torch.optim.Adam(network.parameters(), fused=True)
            order = np.random.default_rng(turn).permutation(len(x))
            for start in range(0, len(x), batch_size):
                index = order[start : start + batch_size]
                torch_step(network, optimizer, x[index], y[index])

        return seconds_of(epoch)

    sides: dict[str, Side] = {"Keras's fit, 32": by_default(32), "Keras's fit, 128": by_default(128), "ours": ours}
    if has_torch():
        sides |= {"PyTorch, 32": by_torch(32), "PyTorch, 128": by_torch(128)}
    return sides


class Way:
    """The way to the goals: after each epoch the accuracy on the test images, off the clock."""

    def __init__(self) -> None:
        self.clock, self.curve = Stopwatch(), []

    def note(self, accuracy: float) -> None:
        self.curve.append([self.clock.seconds, 100 * accuracy])

    def values(self) -> Values:
        reached = {goal: next((seconds for seconds, value in self.curve if value >= goal), None) for goal in GOALS}
        return {
            "seconds to 99.0 %": reached[99.0],
            "seconds to 99.5 %": reached[99.5],
            "seconds of training": self.clock.seconds,
            "test accuracy, %": self.curve[-1][1],
            "curve": self.curve,
        }


@comparison(
    "A network to 99.0 and to 99.5 % of the test images",
    Metric("seconds to 99.0 %"),
    Metric("seconds to 99.5 %"),
    Metric("seconds of training"),
    Metric("test accuracy, %", ""),
    rounds=3,
    once=("PyTorch, our recipe",),
    peers=("PyTorch, our recipe",),
)
def cnn_time() -> dict[str, Side]:
    """Training on all of MNIST from three seeds, compiling included, the looks at the test images not. Keras's fit trains the
    plain network as it comes, for eight epochs; ours is the better network with its recipe; PyTorch has the layers and the
    recipe of ours, from one seed. The accuracy is that of the last epoch: no choice is made by it."""
    import keras

    mnist, cnn = load_mnist(), notebook("02_keras_cnn_mnist")
    x, y, x_test = cnn.pixels(mnist.x_train), mnist.y_train.astype("int64"), cnn.pixels(mnist.x_test)

    class Look(keras.callbacks.Callback):
        def __init__(self, way: Way) -> None:
            super().__init__()
            self.way = way

        def on_epoch_end(self, epoch, logs=None):
            with self.way.clock.paused():
                self.way.note(cnn.accuracy(self.model, x_test, mnist.y_test))

    def by_default(turn: int) -> Values:
        keras.utils.set_random_seed(11 + turn)
        network, way = cnn.build_plain(), Way()
        with way.clock:
            network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            network.fit(x, y, epochs=8, verbose=0, callbacks=[Look(way)])
        return way.values()

    def ours(turn: int) -> Values:
        way = Way()
        with way.clock:
            cnn.train_better(x, y, seed=11 + turn, callbacks=[Look(way)])
        return way.values()

    def by_torch(turn: int, epochs: int = 8, rate: float = 3e-3) -> Values:
        import torch

        torch.manual_seed(11 + turn)
        network, way = better_in_torch(), Way()
        optimizer = torch.optim.Adam(network.parameters(), fused=True)
        data = cnn.Batches(x, y, shift=1, seed=11 + turn)
        tests = torch.from_numpy(x_test).permute(0, 3, 1, 2).contiguous()
        for epoch in range(epochs):
            with way.clock:
                for number in range(len(data)):
                    done = epoch + number / len(data)  # rises for an epoch, then falls along a cosine
                    part = (1 + 2 * done) / 3 if done < 1 else (1 + np.cos(np.pi * (done - 1) / (epochs - 1))) / 2
                    optimizer.param_groups[0]["lr"] = rate * part
                    torch_step(network, optimizer, *data[number])
                data.on_epoch_end()
            network.eval()
            with torch.no_grad():
                read = torch.cat([network(part).argmax(1) for part in tests.split(1000)]).numpy()
            network.train()
            way.note(float(np.mean(read == mnist.y_test)))
        return way.values()

    sides: dict[str, Side] = {"Keras's fit": by_default, "ours": ours}
    if has_torch():
        sides["PyTorch, our recipe"] = by_torch
    return sides
