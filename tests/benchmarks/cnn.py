"""Notebook 02: a convolution in NumPy beside TensorFlow's and PyTorch's, its changes one at a time, and its best network."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import numpy as np

from helpers.data import load_mnist
from tests.benchmarks.common import HAS_TORCH, Comparison, Stopwatch, main
from tests.notebook_code import fresh_definitions

HELD_OUT = 2000


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
        network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        network.fit(x, y, batch_size=batch_size, verbose=0, callbacks=[clock])
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

    sides = {"Keras's fit, 32": partial(by_default, 32), "Keras's fit, 128": partial(by_default, 128)}
    if HAS_TORCH:
        sides |= {"PyTorch, 32": partial(in_torch, 32), "PyTorch, 128": partial(in_torch, 128)}
    return sides


def steps_of_the_changes(cnn: SimpleNamespace) -> dict[str, tuple[tuple, dict]]:
    """Name → arguments of `build_better` (normalize, dropout), and options of `train`."""
    falling, shifts = {"rate": 3e-3, "falling": True}, partial(cnn.warp_groups, elastic=0, affine=0)
    warped = {**falling, "augment": cnn.warp_groups}
    return {
        "rate 0.001": ((False, 0), {"rate": 1e-3}),
        "rate 0.003": ((False, 0), {"rate": 3e-3}),
        "rate 0.01": ((False, 0), {"rate": 1e-2}),
        "falling from 0.001": ((False, 0), {"rate": 1e-3, "falling": True}),
        "falling from 0.003": ((False, 0), falling),
        "… and dropout": ((False, 0.25), falling),
        "… and batch normalization": ((True, 0), falling),
        "… and shifts": ((False, 0), {**falling, "augment": shifts}),
        "… and warps": ((False, 0), warped),
        "… and label smoothing": ((False, 0), {**falling, "smoothing": 0.1}),
        "normalization and warps": ((True, 0), warped),
        "these and dropout": ((True, 0.25), warped),
        "these and label smoothing": ((True, 0), {**warped, "smoothing": 0.1}),
    }


def changes() -> dict[str, Callable[[int], dict]]:
    """Short trainings on 1,000 images: the seed is the round, the mistakes are those on the images held out."""
    import keras

    mnist, cnn = load_mnist(), fresh_definitions("02_keras_cnn_mnist")
    x, y = cnn.pixels(mnist.x_train), mnist.y_train

    def side(structure: tuple, options: dict, turn: int) -> dict[str, float]:
        keras.utils.set_random_seed(1 + turn)
        network = cnn.build_better(*structure)
        cnn.train(network, x[:1000], y[:1000], epochs=10, batch_size=32, seed=1 + turn, **options)
        return {"mistakes, %": 100 * (1 - cnn.accuracy(network, x[-HELD_OUT:], y[-HELD_OUT:]))}

    return {name: partial(side, *step) for name, step in steps_of_the_changes(cnn).items()}


def recipes() -> dict[str, Callable[[int], dict]]:
    """The best network's training on fewer images, one choice after the other; the seed is the round."""
    import keras

    mnist, cnn = load_mnist(), fresh_definitions("02_keras_cnn_mnist")
    x, y = cnn.pixels(mnist.x_train), mnist.y_train
    learn, held = (np.s_[:10_000], np.s_[-10_000:]) if mnist.whole else (np.s_[:-HELD_OUT], np.s_[-HELD_OUT:])

    def side(unwarped: int, affine: float, smoothing: float, turn: int) -> dict[str, float]:
        keras.utils.set_random_seed(1 + turn)
        network, augment = cnn.build_better(), partial(cnn.warp_groups, unwarped=unwarped, affine=affine)
        options = {"epochs": 24, "rate": 3e-3, "falling": True, "augment": augment, "smoothing": smoothing}
        cnn.train(network, x[learn], y[learn], seed=1 + turn, **options)
        return {"mistakes, %": 100 * (1 - cnn.accuracy(network, x[held], y[held]))}

    settings = {
        "linear maps of 0.04": (0, 0.04, 0),
        "linear maps of 0.08": (0, 0.08, 0),
        "linear maps of 0.12": (0, 0.12, 0),
        "0.08, a group unwarped": (1, 0.08, 0),
        "0.08, label smoothing": (0, 0.08, 0.1),
        "0.08, both": (1, 0.08, 0.1),
    }
    return {name: partial(side, *setting) for name, setting in settings.items()}


def best_network(turn: int) -> dict[str, float]:
    mnist, cnn = load_mnist(), fresh_definitions("02_keras_cnn_mnist")
    x, y = cnn.pixels(mnist.x_train), mnist.y_train
    network = cnn.train_best(x[:-HELD_OUT], y[:-HELD_OUT], seed=11 + turn)
    sets = {"held-out": (x[-HELD_OUT:], y[-HELD_OUT:]), "test": (cnn.pixels(mnist.x_test), mnist.y_test)}
    return {f"{name} accuracy, %": 100 * cnn.accuracy(network, *images) for name, images in sets.items()}


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
        "An epoch of the 60,000 images with Adam, in mini-batches of 32 (Keras's default) or 128 images, in Keras and in "
        "PyTorch. Traced and compiled before the clock starts.",
        epoch_sides,
        rounds=3,
    ),
    "cnn-changes": Comparison(
        "Notebook 02, one change at a time",
        "1,000 images, mini-batches of 32, ten epochs, seeds 1 to 3; mistakes among the 2,000 training images held out.",
        changes,
        rounds=3,
    ),
    "cnn-recipes": Comparison(
        "How to train the best network of notebook 02",
        "It learns from the first 10,000 images in 24 epochs, seeds 1 to 3; mistakes among the last 10,000 training images. In "
        "the first rows all eight groups of a mini-batch are warped, with linear maps of three strengths. Then one group stays "
        "as it is, or the labels are smoothed, or both. No test image is looked at.",
        recipes,
        rounds=3,
    ),
    "cnn-accuracy": Comparison(
        "The best network of notebook 02, three seeds",
        "Trained as in notebook 02, on all training images but the 2,000 held out.",
        lambda: {"ours": best_network},
        rounds=3,
    ),
}

if __name__ == "__main__":
    main(COMPARISONS)
