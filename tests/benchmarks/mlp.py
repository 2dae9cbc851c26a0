"""Notebook 01: an epoch of the perceptron beside its peers, how its time grows, and the accuracy of its best network."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import numpy as np

from helpers.data import load_mnist, one_hot
from tests.benchmarks.common import HAS_TORCH, Comparison, Stopwatch, main
from tests.notebook_code import fresh_definitions, run_tagged


class OneAtATime:
    """The classic program's network, written anew with its gradient in the right order: one image a step, in float64."""

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


def an_epoch(work: Callable[[int], object]) -> Callable[[int], dict]:
    """A side that measures how long one call of `work` takes."""

    def side(turn: int) -> dict[str, float]:
        clock = Stopwatch()
        work(turn)
        return {"seconds an epoch": clock.seconds}

    return side


def epoch_of_ours(images: int = 60_000, hidden: int = 100, batch_size: int = 128) -> Callable[[int], dict]:
    mnist, mlp = load_mnist(), fresh_definitions("01_mlp_from_scratch")
    network = mlp.in_single_precision(mlp.ScaledNetwork(784, hidden, 10, lr=0.5, rng=1))
    x, y = mnist.x_train[:images], mnist.y_train[:images]
    return an_epoch(lambda turn: mlp.train(network, x, y, epochs=1, batch_size=batch_size, rng=turn))


def epoch_in_torch(X: np.ndarray, T: np.ndarray, batch_size: int) -> Callable[[int], dict]:
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

    return an_epoch(epoch)


def sides_of_an_epoch(batch_size: int) -> dict[str, Callable[[int], dict]]:
    import keras
    from sklearn.neural_network import MLPClassifier

    mnist, mlp = load_mnist(), fresh_definitions("01_mlp_from_scratch")
    X, T = mlp.rows(mnist.x_train), one_hot(mnist.y_train)
    doubles, classic = X.astype(np.float64), OneAtATime(784, 100, 10, lr=0.1)
    peer = MLPClassifier(
        (100,), activation="logistic", solver="sgd", batch_size=batch_size, learning_rate_init=0.5, momentum=0, alpha=0
    )
    layers = [keras.Input((784,)), keras.layers.Dense(100, "sigmoid"), keras.layers.Dense(10, "sigmoid")]
    network = keras.Sequential(layers)
    network.compile(keras.optimizers.SGD(0.5), "mean_squared_error")
    network.fit(X[:1000], T[:1000], batch_size=batch_size, verbose=0)  # traced before the clock starts

    def one_at_a_time(turn: int) -> None:
        for index in np.random.default_rng(turn).permutation(len(doubles)):
            classic.backprop(doubles[index], T[index])

    def products_alone(turn: int) -> dict[str, float]:
        square = np.random.default_rng(0).random((2048, 2048), np.float32)
        calls, seconds = timeit.Timer(lambda: square @ square).autorange()
        operations = 2 * len(X) * (2 * 784 * 100 + 3 * 100 * 10)  # forward, by the weights, and by the hidden layer
        return {"seconds an epoch": operations / (2 * 2048**3) * seconds / calls}

    sides = {
        "one image at a time": an_epoch(one_at_a_time),
        "ours": epoch_of_ours(batch_size=batch_size),
        "scikit-learn": an_epoch(lambda turn: peer.partial_fit(X, mnist.y_train, classes=np.arange(10))),
        "Keras": an_epoch(lambda turn: network.fit(X, T, batch_size=batch_size, verbose=0)),
    }
    if HAS_TORCH:
        sides["PyTorch"] = epoch_in_torch(X, T, batch_size)
    return {**sides, "the matrix products alone": products_alone}


def steps_of_the_ladder(mlp: SimpleNamespace) -> dict[str, tuple]:
    """Name → network, hidden units, learning rate, options of `train`. Each step changes one thing, and keeps those before it."""
    shifted = {"augment": partial(mlp.warp_quarters, elastic=0, affine=0)}
    falling = {**shifted, "schedule": mlp.cosine}
    elastic = {**falling, "augment": partial(mlp.warp_quarters, affine=0)}
    warped = {**falling, "augment": mlp.warp_quarters}
    return {
        "start from N(0, 1)": (mlp.ThreeLayerNetwork, 100, 3.0, {}),
        "scaled start": (mlp.ScaledNetwork, 100, 3.0, {}),
        "softmax, cross-entropy": (mlp.Classifier, 100, 1.0, {}),
        "ReLU": (mlp.ReluClassifier, 100, 0.3, {}),
        "800 hidden units": (mlp.ReluClassifier, 800, 0.3, {}),
        "random shifts": (mlp.ReluClassifier, 800, 0.3, shifted),
        "falling learning rate": (mlp.ReluClassifier, 800, 1.0, falling),
        "momentum": (mlp.MomentumClassifier, 800, 0.2, falling),
        "elastic field": (mlp.MomentumClassifier, 800, 0.2, elastic),
        "affine map": (mlp.MomentumClassifier, 800, 0.2, warped),
        "15 epochs, random shifts": (mlp.MomentumClassifier, 800, 0.2, {**falling, "epochs": 15}),
        "15 epochs, whole warp": (mlp.MomentumClassifier, 800, 0.2, {**warped, "epochs": 15}),
    }


def held_out_mistakes(mlp: SimpleNamespace, kind: type, hidden: int, lr: float, options: dict) -> Callable[[int], dict]:
    """A side that trains on five sixths of the training images and counts the mistakes on the rest; the seed is the round."""
    mnist = load_mnist()
    part = len(mnist.x_train) * 5 // 6

    def side(turn: int) -> dict[str, float]:
        network = mlp.in_single_precision(kind(784, hidden, 10, lr, rng=1 + turn))
        mlp.train(network, mnist.x_train[:part], mnist.y_train[:part], rng=1 + turn, **{"epochs": 5, **options})
        return {"mistakes, %": 100 * (1 - mlp.accuracy(network, mnist.x_train[part:], mnist.y_train[part:]))}

    return side


def ladder() -> dict[str, Callable[[int], dict]]:
    mlp = fresh_definitions("01_mlp_from_scratch")
    return {name: held_out_mistakes(mlp, *step) for name, step in steps_of_the_ladder(mlp).items()}


def variants() -> dict[str, Callable[[int], dict]]:
    """Controls of notebook 01: biases of the hidden layer (a pixel that is always white), He's start, and a falling rate as
    large as momentum makes it in effect."""
    mlp, with_biases = fresh_definitions("01_mlp_from_scratch"), fresh_definitions("01_mlp_from_scratch")
    falling = steps_of_the_ladder(mlp)["falling learning rate"][-1]

    def rows_with_a_constant(images: np.ndarray) -> np.ndarray:
        X = mlp.rows(images)
        X[:, 0] = 1  # the pixel in the corner, without ink in every image
        return X

    with_biases.rows = rows_with_a_constant

    class StartedAsHe(mlp.ReluClassifier):
        def __init__(self, *sizes, rng) -> None:
            super().__init__(*sizes, rng=rng)
            self.Wyx *= np.float32(2**0.5)

    return {
        "ReLU": held_out_mistakes(mlp, mlp.ReluClassifier, 100, 0.3, {}),
        "with biases in the hidden layer": held_out_mistakes(with_biases, with_biases.ReluClassifier, 100, 0.3, {}),
        "started from N(0, 2/m)": held_out_mistakes(mlp, StartedAsHe, 100, 0.3, {}),
        "falling learning rate from 2": held_out_mistakes(mlp, mlp.ReluClassifier, 800, 2.0, falling),
    }


def strengths_of_the_warp() -> dict[str, Callable[[int], dict]]:
    """The last row of the ladder, whose elastic field moves pixels by half a pixel, with weaker and stronger fields."""
    mlp = fresh_definitions("01_mlp_from_scratch")
    *_, (kind, hidden, lr, options) = steps_of_the_ladder(mlp).values()
    fields = {"a quarter of a pixel": 0.25, "one pixel": 1.0}
    return {
        name: held_out_mistakes(mlp, kind, hidden, lr, {**options, "augment": partial(mlp.warp_quarters, elastic=strength)})
        for name, strength in fields.items()
    }


def best_network(turn: int) -> dict[str, float]:
    mlp = fresh_definitions("01_mlp_from_scratch")
    mlp.mnist, mlp.SEED = load_mnist(), 11 + turn
    run_tagged(mlp, "best-network")
    return {"test accuracy, %": 100 * mlp.test_accuracy, "seconds of training": mlp.seconds}


COMPARISONS = {
    "mlp-32": Comparison(
        "A perceptron 784-100-10, mini-batches of 32",
        "One epoch of the 60,000 images in float32: sigmoids, squared error, plain gradient descent; scikit-learn has its "
        "cross-entropy. The classic program shows one image at a time, in float64. The last row is a lower bound: the "
        "multiplications of the epoch at the rate at which this machine multiplies two matrices of 2048 by 2048. Ours begins "
        "from the bytes of the images and shuffles and scales them inside the clock, the others from rows of floats.",
        lambda: sides_of_an_epoch(32),
    ),
    "mlp-128": Comparison(
        "A perceptron 784-100-10, mini-batches of 128", "The same in mini-batches of 128.", lambda: sides_of_an_epoch(128)
    ),
    "mlp-batch": Comparison(
        "How the time grows with the mini-batch",
        "Our network 784-100-10, one epoch, in mini-batches of so many images.",
        lambda: {f"{size}": epoch_of_ours(batch_size=size) for size in (1, 8, 32, 128, 512, 2048)},
        rounds=3,
    ),
    "mlp-width": Comparison(
        "How the time grows with the width",
        "Our network in mini-batches of 128, one epoch, with so many hidden units.",
        lambda: {f"{hidden}": epoch_of_ours(hidden=hidden) for hidden in (25, 50, 100, 200, 400, 800)},
        rounds=3,
    ),
    "mlp-images": Comparison(
        "How the time grows with the number of images",
        "Our network 784-100-10 in mini-batches of 128, one epoch of so many images.",
        lambda: {f"{images:,}": epoch_of_ours(images=images) for images in (7_500, 15_000, 30_000, 60_000)},
        rounds=3,
    ),
    "mlp-ladder": Comparison(
        "Notebook 01, one change at a time",
        "Each row keeps the changes above it. 50,000 images, mini-batches of 128, five epochs (15 where the row says so), seeds "
        "1 to 3; mistakes among the 10,000 training images held out. The learning rates were chosen in short trials on these.",
        ladder,
        rounds=3,
    ),
    "mlp-variants": Comparison(
        "Controls of notebook 01",
        "The row ReLU of `mlp-ladder` with one more change; the last one is its row of the falling learning rate at twice the "
        "rate, which is the effective rate of its row momentum.",
        variants,
        rounds=3,
    ),
    "mlp-warps": Comparison(
        "Other elastic fields in notebook 01",
        "The last row of `mlp-ladder`, where the field has a standard deviation of half a pixel, with another field.",
        strengths_of_the_warp,
        rounds=3,
    ),
    "mlp-accuracy": Comparison(
        "The best perceptron of notebook 01, three seeds",
        "The cell of notebook 01 that trains the best network, with three seeds.",
        lambda: {"ours": best_network},
        rounds=3,
    ),
}

if __name__ == "__main__":
    main(COMPARISONS)
