"""Notebook 02: a convolution in NumPy beside TensorFlow's and PyTorch's, and the networks beside Keras's fit and PyTorch."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from functools import partial

import numpy as np

from helpers.data import load_mnist
from tests.benchmarks.common import HAS_TORCH, Comparison, Stopwatch, main
from tests.notebook_code import fresh_definitions


def backward_loops(
    dy: np.ndarray, x: np.ndarray, kernel: np.ndarray, stride: int, zeros: list[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients by input, kernel and bias, window by window: the chain rule over the plainest forward loop."""
    padded = np.pad(x, zeros)
    kh, kw = kernel.shape[:2]
    dpadded, dkernel, dbias = np.zeros_like(padded), np.zeros_like(kernel), np.zeros(kernel.shape[3], kernel.dtype)
    for n, i, j, f in np.ndindex(*dy.shape):
        rows, columns = slice(stride * i, stride * i + kh), slice(stride * j, stride * j + kw)
        dkernel[..., f] += dy[n, i, j, f] * padded[n, rows, columns]
        dpadded[n, rows, columns] += dy[n, i, j, f] * kernel[..., f]
        dbias[f] += dy[n, i, j, f]
    (top, _), (left, _) = zeros[1:3]
    return dpadded[:, top : top + x.shape[1], left : left + x.shape[2]], dkernel, dbias


def convolution(shape: tuple, kernel_shape: tuple, stride: int, padding: str) -> dict[str, Callable[[int], dict]]:
    """The sides of one convolution in float32, forward and backward; a call is repeated for at least a fifth of a second."""
    import tensorflow as tf

    cnn = fresh_definitions("02_keras_cnn_mnist")
    rng = np.random.default_rng(0)
    x, kernel, bias = (rng.normal(size=size).astype("float32") for size in (shape, kernel_shape, kernel_shape[3:]))
    dy = rng.normal(size=cnn.conv2d(x, kernel, bias, stride, padding).shape).astype("float32")
    _, zeros = cnn.pad_for(x, kernel.shape[:2], stride, padding)
    layer = cnn.layers.Conv2D(kernel.shape[3], kernel.shape[:2], stride, padding)
    layer.build(x.shape)
    layer.set_weights([kernel, bias])
    forward, tensor, above = tf.function(layer), tf.constant(x), tf.constant(dy)

    @tf.function
    def backward(dy):
        options = {"strides": [1, stride, stride, 1], "padding": padding.upper()}
        return (
            tf.raw_ops.Conv2DBackpropInput(input_sizes=x.shape, filter=kernel, out_backprop=dy, **options),
            tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=kernel.shape, out_backprop=dy, **options),
            tf.reduce_sum(dy, (0, 1, 2)),
        )

    calls = {  # forward, backward
        "loops": (
            lambda: cnn.conv2d_loops(x, kernel, bias, stride, padding),
            lambda: backward_loops(dy, x, kernel, stride, zeros),
        ),
        "ours": (
            lambda: cnn.conv2d(x, kernel, bias, stride, padding),
            lambda: cnn.conv2d_backward(dy, x, kernel, stride, padding),
        ),
        "Keras": (lambda: forward(tensor), lambda: backward(above)),
    }
    if HAS_TORCH:
        calls["PyTorch"] = convolution_in_torch(x, kernel, bias, dy, stride, zeros)

    def side(calls: tuple[Callable, Callable], turn: int) -> dict[str, float]:
        values = {}
        for metric, call in zip(("forward, milliseconds", "backward, milliseconds"), calls):
            if turn == 0:
                call()  # traced and warmed up before the clock starts
            repeats, seconds = timeit.Timer(call).autorange()
            values[metric] = 1000 * seconds / repeats
        return values

    return {name: partial(side, both) for name, both in calls.items()}


def convolution_in_torch(x, kernel, bias, dy, stride, zeros) -> tuple[Callable, Callable]:
    """Forward and backward on the same arrays in PyTorch's order of axes; going back, the images are padded before."""
    import torch

    images, gradient = (torch.from_numpy(array).permute(0, 3, 1, 2).contiguous() for array in (x, dy))
    weight, shift = torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous(), torch.from_numpy(bias)
    pad = partial(torch.nn.functional.pad, images, (*zeros[2], *zeros[1]))
    padded, forward = pad(), torch.no_grad()(torch.nn.functional.conv2d)
    settings = ([len(bias)], [stride, stride], [0, 0], [1, 1], False, [0, 0], 1, [True, True, True])
    return (
        lambda: forward(pad(), weight, shift, stride),
        lambda: torch.ops.aten.convolution_backward(gradient, padded, weight, *settings),
    )


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
    """One training step of `network` on images (n, 28, 28, 1) and labels (n,)."""
    import torch

    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(network(x), torch.from_numpy(labels)).backward()
    optimizer.step()


def epoch_sides() -> dict[str, Callable[[int], dict]]:
    import keras

    mnist, cnn = load_mnist(), fresh_definitions("02_keras_cnn_mnist")
    x, y = cnn.pixels(mnist.x_train), mnist.y_train.astype("int64")

    class Epoch(keras.callbacks.Callback):
        """Times an epoch from the end of its first step, when all is compiled."""

        def on_train_batch_end(self, batch, logs=None):
            if batch == 0:
                self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            steps = self.params["steps"]
            self.values = {"seconds an epoch": (time.perf_counter() - self.start) * steps / (steps - 1)}

    def by_default(batch_size: int, turn: int) -> dict[str, float]:
        network, clock = cnn.build_plain(), Epoch()
        network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        network.fit(x, y, batch_size=batch_size, verbose=0, callbacks=[clock])
        return clock.values

    def ours(turn: int) -> dict[str, float]:
        network, clock = cnn.build_plain(), Epoch()
        cnn.train(network, x, y, epochs=1, seed=turn, callbacks=[clock])
        return clock.values

    def in_torch(batch_size: int, turn: int) -> dict[str, float]:
        import torch

        clock, network = Stopwatch(), plain_in_torch()
        optimizer = torch.optim.Adam(network.parameters(), fused=True)
        order = np.random.default_rng(turn).permutation(len(x))
        for start in range(0, len(x), batch_size):
            index = order[start : start + batch_size]
            torch_step(network, optimizer, x[index], y[index])
        return {"seconds an epoch": clock.seconds}

    sides = {"Keras's fit, 32": partial(by_default, 32), "Keras's fit, 128": partial(by_default, 128), "ours": ours}
    if HAS_TORCH:
        sides |= {"PyTorch, 32": partial(in_torch, 32), "PyTorch, 128": partial(in_torch, 128)}
    return sides


def values_of(clock: Stopwatch) -> dict:
    """What a training gives, of which the accuracy was looked at after each epoch."""
    seconds, curve = clock.seconds, [[at, 100 * accuracy] for at, accuracy in clock.curve]
    first = {goal: next((at for at, accuracy in curve if accuracy >= goal), None) for goal in (99.0, 99.5)}
    reached = {f"seconds to {goal} %": at for goal, at in first.items()}
    return {**reached, "seconds of training": seconds, "test accuracy, %": curve[-1][1], "curve": curve}


def sides_of_time() -> dict[str, Callable[[int], dict]]:
    import keras

    mnist, cnn = load_mnist(), fresh_definitions("02_keras_cnn_mnist")
    x, y, x_test = cnn.pixels(mnist.x_train), mnist.y_train.astype("int64"), cnn.pixels(mnist.x_test)

    def looking(clock: Stopwatch):
        """A callback that looks at the accuracy on the test images after each epoch."""

        def look(epoch, logs):
            clock.look(lambda: cnn.accuracy(callback.model, x_test, mnist.y_test))

        callback = keras.callbacks.LambdaCallback(on_epoch_end=look)
        return callback

    def by_default(turn: int) -> dict:
        keras.utils.set_random_seed(11 + turn)
        network, clock = cnn.build_plain(), Stopwatch()
        network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        network.fit(x, y, epochs=8, verbose=0, callbacks=[looking(clock)])
        return values_of(clock)

    def ours(turn: int) -> dict:
        clock = Stopwatch()
        cnn.train_better(x, y, seed=11 + turn, callbacks=[looking(clock)])
        return values_of(clock)

    def in_torch(turn: int, epochs: int = 8, rate: float = 3e-3) -> dict:
        import torch

        torch.manual_seed(11 + turn)
        network, data = better_in_torch(), cnn.Batches(x, y, shift=1, seed=11 + turn)
        optimizer = torch.optim.Adam(network.parameters(), fused=True)
        tests, clock = torch.from_numpy(x_test).permute(0, 3, 1, 2).contiguous(), Stopwatch()

        @torch.no_grad()
        def accuracy() -> float:
            network.eval()
            read = torch.cat([network(part).argmax(1) for part in tests.split(1000)]).numpy()
            network.train()
            return float(np.mean(read == mnist.y_test))

        for epoch in range(epochs):
            for number in range(len(data)):
                done = epoch + number / len(data)  # rises for an epoch, then falls along a cosine
                part = (1 + 2 * done) / 3 if done < 1 else (1 + np.cos(np.pi * (done - 1) / (epochs - 1))) / 2
                optimizer.param_groups[0]["lr"] = rate * part
                torch_step(network, optimizer, *data[number])
            data.on_epoch_end()
            clock.look(accuracy)
        return values_of(clock)

    return {"Keras's fit": by_default, "ours": ours} | ({"PyTorch, our recipe": in_torch} if HAS_TORCH else {})


COMPARISONS = {
    "conv": Comparison(
        "A convolution: 3 × 3 over 32 channels",
        "32 images of 13 × 13 pixels and 32 channels, 64 filters, float32: the second convolution of the plain network. The "
        "loops go window by window, forward as in the notebook. Keras's layer is compiled, without XLA; PyTorch's arrays lie as "
        "it likes them. Backward means the gradients by input, kernel and bias; Keras's are TensorFlow's operations, without "
        "the forward pass.",
        partial(convolution, (32, 13, 13, 32), (3, 3, 32, 64), 1, "valid"),
    ),
    "conv-first": Comparison(
        "A convolution: 5 × 5 over one channel, stride 2",
        "128 images of MNIST's size, 16 filters, padding “same”: the convolution of the network in NumPy alone.",
        partial(convolution, (128, 28, 28, 1), (5, 5, 1, 16), 2, "same"),
    ),
    "cnn-epoch": Comparison(
        "The plain network of notebook 02",
        "An epoch of the 60,000 images with Adam, in mini-batches of 32 (Keras's default) or 128 images. Traced and compiled "
        "before the clock starts.",
        epoch_sides,
        rounds=3,
    ),
    "cnn-time": Comparison(
        "A network to 99.0 and to 99.5 % of the test images",
        "Training on all of MNIST from three seeds, compiling included, the looks at the test images not. Keras's fit trains "
        "the plain network as it comes, for eight epochs; ours is the better network with its recipe; PyTorch has the layers "
        "and the recipe of ours, from one seed. The accuracy is that of the last epoch: no choice is made by it.",
        sides_of_time,
        rounds=3,
        once=("PyTorch, our recipe",),
    ),
}

if __name__ == "__main__":
    main(COMPARISONS)
