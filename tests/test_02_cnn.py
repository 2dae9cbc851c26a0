"""Notebook 02: its convolution is Keras's, forwards and backwards; checks name mistakes; a distributed step is the same."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.notebook_code import ROOT


@pytest.fixture(scope="module")
def cnn(definitions):
    return definitions("02_keras_cnn_mnist")


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def keras_convolution(x, kernel, bias, stride, padding, dy=None):
    """Keras's output and, of the sum of dy * output, the gradients by input, kernel and bias."""
    layer = layers.Conv2D(kernel.shape[3], kernel.shape[:2], strides=stride, padding=padding)
    layer.build(x.shape)
    layer.set_weights([kernel, bias])
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_sum(y * (tf.ones_like(y) if dy is None else dy))
    return y.numpy(), [gradient.numpy() for gradient in tape.gradient(loss, [x, *layer.trainable_weights])]


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (2, 5), (3, 4)])
def test_conv2d_is_keras_s_forwards_and_backwards(cnn, size, stride, padding):
    for shape, filters in [((2, 9, 8, 1), 3), ((1, 7, 10, 4), 2), ((3, 5, 5, 2), 1)]:
        x, bias = random(*shape), random(filters, seed=1)
        kernel = random(*size, shape[3], filters, seed=2) / np.float32(np.prod(size))
        y = cnn.conv2d(x, kernel, bias, stride, padding)
        dy = random(*y.shape, seed=3)
        expected, gradients = keras_convolution(x, kernel, bias, stride, padding, dy)
        np.testing.assert_allclose(y, expected, atol=1e-5)
        assert y.dtype == np.float32
        for ours, theirs in zip(cnn.conv2d_backward(dy, x, kernel, stride, padding), gradients, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_loops_and_the_matrix_product_agree(cnn, stride, padding):
    x, kernel, bias = random(2, 6, 7, 2), random(3, 2, 2, 3, seed=1), random(3, seed=2)
    np.testing.assert_allclose(
        cnn.conv2d_loops(x, kernel, bias, stride, padding), cnn.conv2d(x, kernel, bias, stride, padding), atol=1e-5
    )


@pytest.mark.parametrize("size", [1, 2, 3])
def test_max_pooling_is_keras_s_and_equal_to_its_loops(cnn, size):
    x = random(2, 7, 8, 3)
    y = cnn.max_pool2d(x, size)
    dy = random(*y.shape, seed=1)
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        expected = layers.MaxPooling2D(size)(tensor)
        loss = tf.reduce_sum(expected * dy)
    np.testing.assert_array_equal(y, expected.numpy())
    np.testing.assert_array_equal(y, cnn.max_pool2d_loops(x, size))
    np.testing.assert_allclose(cnn.max_pool2d_backward(dy, x, size), tape.gradient(loss, tensor).numpy(), atol=1e-6)


def test_of_equal_pixels_the_first_gets_the_gradient_as_in_tensorflow(cnn):
    x = np.ones((1, 4, 4, 1), np.float32)
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        loss = tf.reduce_sum(tf.nn.max_pool2d(tensor, 2, 2, "VALID"))
    ours = cnn.max_pool2d_backward(np.ones((1, 2, 2, 1), np.float32), x)
    np.testing.assert_array_equal(ours, tape.gradient(loss, tensor).numpy())


def test_inputs_are_left_as_they_were(cnn):
    x, kernel, bias = random(1, 6, 6, 2), random(3, 3, 2, 2, seed=1), random(2, seed=2)
    before = [x.copy(), kernel.copy(), bias.copy()]
    y = cnn.conv2d(x, kernel, bias, 1, "same")
    cnn.conv2d_backward(y, x, kernel, 1, "same")
    cnn.max_pool2d_backward(cnn.max_pool2d(x), x)
    for now, then in zip((x, kernel, bias), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"padding": "full"}, 'expected padding "valid" or "same", got \'full\''),
        ({"stride": 0}, "whole stride of at least 1, got 0"),
        ({"stride": -1}, "whole stride of at least 1, got -1"),
        ({"stride": 1.5}, "whole stride of at least 1, got 1.5"),
        ({"x": np.zeros((1, 6, 6, 2))}, "kernel for 2 channels, as the pictures have, got one for 3"),
        ({"x": np.zeros((1, 2, 6, 3))}, 'no larger than the picture under "valid"'),
        ({"x": np.zeros((6, 6, 3))}, r"expected pictures \(n, height, width, channels\)"),
        ({"bias": np.zeros(3)}, "one number a filter"),
    ],
)
@pytest.mark.parametrize("function", ["conv2d", "conv2d_loops"])
def test_misuse_of_conv2d_is_told_in_words(cnn, function, changes, message):
    right = {"x": np.zeros((1, 6, 6, 3)), "kernel": np.zeros((3, 3, 3, 2)), "bias": np.zeros(2)}
    with pytest.raises(ValueError, match=message):
        getattr(cnn, function)(**{**right, **changes})


@pytest.mark.parametrize(("shape", "size"), [((1, 4, 4, 1), 0), ((1, 4, 4, 1), 5), ((1, 4, 4, 1), 1.5), ((4, 4, 1), 2)])
def test_misuse_of_max_pool2d_is_told_in_words(cnn, shape, size):
    with pytest.raises(ValueError, match="expected"):
        cnn.max_pool2d(np.zeros(shape), size)


def test_the_first_layer_may_leave_out_the_gradient_by_its_input(cnn):
    x, kernel = random(2, 6, 6, 1), random(3, 3, 1, 2, seed=1)
    dy = random(2, 4, 4, 2, seed=2)
    _, dkernel, dbias = cnn.conv2d_backward(dy, x, kernel)
    nothing, dkernel_alone, dbias_alone = cnn.conv2d_backward(dy, x, kernel, first=True)
    assert nothing is None
    np.testing.assert_array_equal(dkernel, dkernel_alone)
    np.testing.assert_array_equal(dbias, dbias_alone)


def test_the_gradients_of_the_numpy_network_are_right(cnn, sample):
    network = cnn.SmallConvNet(filters=2, dtype=np.float64)
    network.bias[:] = 0.1, -0.1  # on empty paper a bias of 0 would stand on the rectifier's corner
    x, target = cnn.pixels(sample.x_train[:3]).astype(float), np.eye(10)[sample.y_train[:3]]
    _, gradients = network.gradients(x, target)
    rng = np.random.default_rng(0)
    for weight, gradient in zip(network.weights, gradients, strict=True):
        for place in rng.choice(weight.size, min(8, weight.size), replace=False):
            one = weight.reshape(-1)[place : place + 1]
            numeric = cnn.central_differences(lambda: network.gradients(x, target)[0], one)[0]
            assert abs(numeric - gradient.reshape(-1)[place]) < 1e-7


def test_the_numpy_network_learns(cnn, sample):
    network, rng = cnn.SmallConvNet(), np.random.default_rng(0)
    x, target = cnn.pixels(sample.x_train), np.eye(10, dtype=np.float32)[sample.y_train]
    for batch in cnn.batches(len(x), 32, rng):
        network.step(x[batch], target[batch], 0.05)
    assert np.mean(network.predict(cnn.pixels(sample.x_test)).argmax(axis=1) == sample.y_test) > 0.85


def test_the_plain_network_in_numpy_gives_what_keras_gives(cnn, sample):
    keras.utils.set_random_seed(0)
    network, x = cnn.build_plain(), cnn.pixels(sample.x_test[:300])
    assert network.count_params() == 93_322
    by_hand, by_keras = cnn.forward_in_numpy(network.get_weights(), x), cnn.predict(network, x)
    assert (by_hand.argmax(axis=1) == by_keras.argmax(axis=1)).all()
    np.testing.assert_allclose(by_hand, by_keras, atol=1e-5)


def test_mini_batches_show_every_image_once_shifted_as_asked(cnn):
    images = np.zeros((10, 28, 28, 1), np.float32)
    images[:, 14, 14] = np.arange(1, 11)[:, None]
    data = cnn.Batches(images, np.arange(10), shift=2, batch_size=4, seed=0)
    assert len(data) == 3
    seen, places = [], set()
    for _ in range(20):
        for number in range(3):
            batch, labels = data[number]
            assert batch.shape[1:] == (28, 28, 1)
            for image, label in zip(batch, labels, strict=True):
                ((row, column, _),) = np.argwhere(image)
                assert image.max() == label + 1
                places.add((row - 14, column - 14))
                seen.append(label)
        data.on_epoch_end()
    assert sorted(seen) == sorted(list(range(10)) * 20)
    assert {row for row, _ in places} == {column for _, column in places} == {-2, -1, 0, 1, 2}


def test_the_better_network_learns_in_two_epochs_of_the_sample(cnn, sample):
    network = cnn.train_better(cnn.pixels(sample.x_train), sample.y_train, epochs=2, seed=0)
    assert cnn.accuracy(network, cnn.pixels(sample.x_test), sample.y_test) > 0.8


DISTRIBUTED = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, tensorflow as tf, keras
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, {root!r})
from tests.notebook_code import definitions
cnn = definitions("02_keras_cnn_mnist")
rng = np.random.default_rng(0)
x, y = rng.random((64, 28, 28, 1)).astype("float32"), rng.integers(0, 10, 64)

def step(strategy):
    with strategy.scope():
        keras.utils.set_random_seed(1)
        network = cnn.build_plain()
        network.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
    before = network.get_weights()
    network.fit(tf.data.Dataset.from_tensor_slices((x, y)).batch(64), epochs=1, verbose=0)
    return before, network.get_weights()

mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice())
start, two = step(mirrored)
same_start, one = step(tf.distribute.get_strategy())
assert all(np.array_equal(a, b) for a, b in zip(start, same_start))
moved = max(np.abs(a - b).max() for a, b in zip(one, start))
apart = max(np.abs(a - b).max() for a, b in zip(one, two))
print(mirrored.num_replicas_in_sync, moved > 1e-3, apart < 1e-5)
"""


def test_a_step_of_sgd_spread_over_two_devices_leaves_the_same_weights():
    code = textwrap.dedent(DISTRIBUTED).format(root=str(ROOT))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["2", "True", "True"], done.stdout + done.stderr[-2000:]
