"""Notebook 01: the 784-100-10 perceptron, an epoch of MNIST; and the accuracy of its best network."""

from __future__ import annotations

import types

import numpy as np

from helpers.data import load_mnist, one_hot
from tests.benchmarks.harness import Metric, Side, comparison, has_torch, notebook, run_cell, seconds_a_call, seconds_of

NODES = 784, 100, 10


class OneAtATime:
    """The classic program's network: one image, one step, in float64. Written anew, its gradient in the right order."""

    def __init__(self, Xnodes: int, Ynodes: int, Znodes: int, lr: float, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.Wyx = rng.normal(0.0, Xnodes**-0.5, (Ynodes, Xnodes))
        self.Wzy = rng.normal(0.0, Ynodes**-0.5, (Znodes, Ynodes))
        self.lr = lr

    @staticmethod
    def af(x: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + np.exp(-np.clip(x, -34.538776394910684, 34.538776394910684)))

    def backprop(self, Xrow: np.ndarray, Trow: np.ndarray) -> None:
        Xout, Zteach = np.array(Xrow, ndmin=2).T, np.array(Trow, ndmin=2).T
        Yout = self.af(self.Wyx @ Xout)
        Zout = self.af(self.Wzy @ Yout)
        dE_dZin = (Zout - Zteach) * Zout * (1.0 - Zout)
        dE_dYin = (self.Wzy.T @ dE_dZin) * Yout * (1.0 - Yout)
        self.Wzy -= self.lr * (dE_dZin @ Yout.T)
        self.Wyx -= self.lr * (dE_dYin @ Xout.T)


def seconds_of_products(images: int) -> float:
    """How long an epoch's matrix products would take at the rate of one large product, in float32."""
    x, y, z = NODES
    operations = images * 2 * (2 * x * y + 3 * y * z)  # forward, by the weights, and by Y
    square = np.random.default_rng(0).random((2048, 2048), np.float32)
    return operations / (2 * 2048**3 / seconds_a_call(lambda: square @ square))


def torch_epoch(X: np.ndarray, T: np.ndarray, batch_size: int) -> Side:
    import torch

    network = torch.nn.Sequential(torch.nn.Linear(784, 100), torch.nn.Sigmoid(), torch.nn.Linear(100, 10), torch.nn.Sigmoid())
    optimizer, loss = torch.optim.SGD(network.parameters(), lr=0.5), torch.nn.MSELoss()
    inputs, targets = torch.from_numpy(X), torch.from_numpy(T)

    def epoch(turn: int) -> None:
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs), batch_size):
            index = order[start : start + batch_size]
            optimizer.zero_grad()
            loss(network(inputs[index]), targets[index]).backward()
            optimizer.step()

    return seconds_of(epoch)


def our_epoch(mlp: types.SimpleNamespace, network, x: np.ndarray, y: np.ndarray, batch_size: int) -> Side:
    return seconds_of(lambda turn: mlp.train(network, x, y, epochs=1, batch_size=batch_size, rng=turn))


def sides_of_an_epoch(batch_size: int) -> dict[str, Side]:
    import keras
    from sklearn.neural_network import MLPClassifier

    mnist, mlp = load_mnist(), notebook("01_mlp_from_scratch")
    X, T = mlp.rows(mnist.x_train), one_hot(mnist.y_train)
    doubles = X.astype(np.float64)
    classic = OneAtATime(*NODES, lr=0.1)
    ours = mlp.ThreeLayerNetwork(*NODES, lr=0.5, scaled=True, dtype=np.float32, rng=1)
    peer = MLPClassifier(
        NODES[1:2], activation="logistic", solver="sgd", batch_size=batch_size, learning_rate_init=0.5, momentum=0, alpha=0
    )
    layers = [keras.Input((784,)), keras.layers.Dense(100, "sigmoid"), keras.layers.Dense(10, "sigmoid")]
    network = keras.Sequential(layers)
    network.compile(keras.optimizers.SGD(0.5), "mean_squared_error")
    network.fit(X[:1000], T[:1000], batch_size=batch_size, verbose=0)  # traced before the clock starts

    def one_at_a_time(turn: int) -> None:
        for index in np.random.default_rng(turn).permutation(len(doubles)):
            classic.backprop(doubles[index], T[index])

    sides: dict[str, Side] = {
        "one image at a time": seconds_of(one_at_a_time),
        "ours": our_epoch(mlp, ours, mnist.x_train, mnist.y_train, batch_size),
        "scikit-learn": seconds_of(lambda turn: peer.partial_fit(X, mnist.y_train, classes=np.arange(10))),
        "Keras": seconds_of(lambda turn: network.fit(X, T, batch_size=batch_size, verbose=0)),
    }
    if has_torch():
        sides["PyTorch"] = torch_epoch(X, T, batch_size)
    sides["the matrix products alone"] = lambda turn: seconds_of_products(len(X))
    return sides


@comparison("A perceptron 784-100-10, mini-batches of 32", Metric("seconds an epoch"), peers=("PyTorch",))
def mlp_32() -> dict[str, Side]:
    """One epoch of the 60,000 images in float32: sigmoids, squared error, plain gradient descent; scikit-learn has its
    cross-entropy. The classic program shows one image at a time, in float64. The last line is a floor: the multiplications
    of the epoch at the rate at which this machine multiplies two matrices of 2048 by 2048. Ours begins from the bytes of the
    images and shuffles and scales them inside the clock, the others from rows of floats."""
    return sides_of_an_epoch(32)


@comparison("A perceptron 784-100-10, mini-batches of 128", Metric("seconds an epoch"), peers=("PyTorch",))
def mlp_128() -> dict[str, Side]:
    """The same in mini-batches of 128."""
    return sides_of_an_epoch(128)


def ours_over(sizes: dict[str, tuple[int, int, int]]) -> dict[str, Side]:
    """Sides of our network alone: name → (images, hidden nodes, batch size)."""
    mnist, mlp = load_mnist(), notebook("01_mlp_from_scratch")

    def side(images: int, hidden: int, batch_size: int) -> Side:
        network = mlp.ThreeLayerNetwork(784, hidden, 10, lr=0.5, scaled=True, dtype=np.float32, rng=1)
        x, y = mnist.x_train[:images], mnist.y_train[:images]
        return our_epoch(mlp, network, x, y, batch_size)

    return {name: side(*size) for name, size in sizes.items()}


@comparison("How the time grows with the mini-batch", Metric("seconds an epoch"), rounds=3, ours="128 images")
def mlp_batch() -> dict[str, Side]:
    """Our network 784-100-10, one epoch, in mini-batches of so many images."""
    sizes = {f"{size} image{'s' * (size > 1)}": (60_000, 100, size) for size in (1, 8, 32, 128, 512, 2048)}
    return ours_over(sizes)


@comparison("How the time grows with the width", Metric("seconds an epoch"), rounds=3, ours="100 hidden nodes")
def mlp_width() -> dict[str, Side]:
    """Our network in mini-batches of 128, one epoch, with so many hidden nodes."""
    return ours_over({f"{hidden} hidden nodes": (60_000, hidden, 128) for hidden in (25, 50, 100, 200, 400, 800)})


@comparison("How the time grows with the number of images", Metric("seconds an epoch"), rounds=3, ours="60,000 of them")
def mlp_images() -> dict[str, Side]:
    """Our network 784-100-10 in mini-batches of 128, one epoch of so many images."""
    return ours_over({f"{images:,} of them": (images, 100, 128) for images in (7_500, 15_000, 30_000, 60_000)})


@comparison(
    "The best perceptron of notebook 01, three seeds", Metric("test accuracy, %", ""), Metric("seconds of training"), rounds=3
)
def mlp_accuracy() -> dict[str, Side]:
    """The cell of notebook 01 that trains the best network, with three seeds."""
    mnist = load_mnist()

    def ours(turn: int) -> dict[str, float]:
        mlp = notebook("01_mlp_from_scratch")
        mlp.mnist, mlp.SEED = mnist, 11 + turn
        run_cell(mlp, "network = Classifier(784, 512, 10")
        return {"test accuracy, %": 100 * mlp.test_accuracy, "seconds of training": mlp.seconds}

    return {"ours": ours}
