"""Notebook 02: a convolution in NumPy, there and back, beside TensorFlow's and PyTorch's."""

from __future__ import annotations

import types
from collections.abc import Callable

import numpy as np

from tests.benchmarks.harness import Metric, Side, comparison, has_torch, notebook, seconds_a_call

# name → (pictures, kernel, stride, padding): the plain network's second convolution, and the one of the NumPy network
SHAPES = {
    "3 × 3 over 32 channels": ((32, 13, 13, 32), (3, 3, 32, 64), 1, "valid"),
    "5 × 5 over one channel, stride 2": ((128, 28, 28, 1), (5, 5, 1, 16), 2, "same"),
}


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


def problem(shape: str) -> tuple:
    """Random pictures, kernel, bias and a gradient from above, float32."""
    pictures, size, stride, padding = SHAPES[shape]
    rng = np.random.default_rng(0)
    x, kernel, bias = (rng.normal(size=s).astype("float32") for s in (pictures, size, size[3:]))
    return x, kernel, bias, stride, padding, rng


def timed(calls: dict[str, Callable[[], object]]) -> dict[str, Side]:
    for call in calls.values():
        call()  # traced and warmed up before the clock starts
    return {name: lambda turn, call=call: 1000 * seconds_a_call(call) for name, call in calls.items()}


def forward(shape: str) -> dict[str, Side]:
    import tensorflow as tf

    cnn = notebook("02_keras_cnn_mnist")
    x, kernel, bias, stride, padding, _ = problem(shape)
    layer = cnn.layers.Conv2D(kernel.shape[3], kernel.shape[:2], stride, padding)
    layer.build(x.shape)
    layer.set_weights([kernel, bias])
    compiled, tensor = tf.function(layer), tf.constant(x)
    calls: dict[str, Callable[[], object]] = {
        "loops": lambda: cnn.conv2d_loops(x, kernel, bias, stride, padding),
        "ours": lambda: cnn.conv2d(x, kernel, bias, stride, padding),
        "Keras": lambda: compiled(tensor),
    }
    if has_torch():
        import torch

        images, weight, shift, before, after = in_torch(cnn, x, kernel, bias, stride, padding)
        pad = (before, after, before, after)

        def by_torch() -> object:
            with torch.no_grad():
                return torch.nn.functional.conv2d(torch.nn.functional.pad(images, pad), weight, shift, stride)

        calls["PyTorch"] = by_torch
    return timed(calls)


def backward(shape: str) -> dict[str, Side]:
    import tensorflow as tf

    cnn = notebook("02_keras_cnn_mnist")
    x, kernel, bias, stride, padding, rng = problem(shape)
    dy = rng.normal(size=cnn.conv2d(x, kernel, bias, stride, padding).shape).astype("float32")
    _, zeros = cnn.pad_for(x, kernel.shape[:2], stride, padding)

    @tf.function
    def by_tensorflow(dy: object) -> tuple:
        options = {"strides": [1, stride, stride, 1], "padding": padding.upper()}
        return (
            tf.raw_ops.Conv2DBackpropInput(input_sizes=x.shape, filter=kernel, out_backprop=dy, **options),
            tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=kernel.shape, out_backprop=dy, **options),
            tf.reduce_sum(dy, (0, 1, 2)),
        )

    above = tf.constant(dy)
    calls: dict[str, Callable[[], object]] = {
        "loops": lambda: backward_loops(dy, x, kernel, stride, zeros),
        "ours": lambda: cnn.conv2d_backward(dy, x, kernel, stride, padding),
        "Keras": lambda: by_tensorflow(above),
    }
    if has_torch():
        import torch

        images, weight, _, before, after = in_torch(cnn, x, kernel, bias, stride, padding)
        padded = torch.nn.functional.pad(images, (before, after, before, after))
        gradient = torch.from_numpy(dy).permute(0, 3, 1, 2).contiguous()
        settings = ([len(bias)], [stride, stride], [0, 0], [1, 1], False, [0, 0], 1, [True, True, True])
        calls["PyTorch"] = lambda: torch.ops.aten.convolution_backward(gradient, padded, weight, *settings)
    return timed(calls)


def in_torch(cnn: types.SimpleNamespace, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, stride: int, padding: str) -> tuple:
    """The problem in PyTorch's order of axes, and the zeros before and after each picture's axes."""
    import torch

    _, zeros = cnn.pad_for(x, kernel.shape[:2], stride, padding)
    images = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous()
    return images, torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous(), torch.from_numpy(bias), *zeros[1]


@comparison("A convolution, forward: 3 × 3 over 32 channels", Metric("milliseconds"), peers=("PyTorch",))
def conv_forward() -> dict[str, Side]:
    """32 pictures of 13 × 13 pixels and 32 channels, 64 filters, float32: the second convolution of the plain network. The
    loops are those of the notebook, window by window; Keras's layer is compiled, without XLA, PyTorch's arrays lie as it likes
    them."""
    return forward("3 × 3 over 32 channels")


@comparison("A convolution, backward: 3 × 3 over 32 channels", Metric("milliseconds"), peers=("PyTorch",))
def conv_backward() -> dict[str, Side]:
    """The gradients by input, kernel and bias of the same; Keras's are TensorFlow's operations, without the forward pass."""
    return backward("3 × 3 over 32 channels")


@comparison("A convolution, forward: 5 × 5 over one channel, stride 2", Metric("milliseconds"), peers=("PyTorch",))
def conv_forward_first() -> dict[str, Side]:
    """128 images of MNIST's size, 16 filters, padding "same": the convolution of the network in NumPy alone."""
    return forward("5 × 5 over one channel, stride 2")


@comparison("A convolution, backward: 5 × 5 over one channel, stride 2", Metric("milliseconds"), peers=("PyTorch",))
def conv_backward_first() -> dict[str, Side]:
    """The gradients by input, kernel and bias of the same."""
    return backward("5 × 5 over one channel, stride 2")
