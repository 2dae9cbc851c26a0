"""Notebook 02: its layers are Keras's, forward and backward; its networks learn; misuse is refused; two devices do as one."""

import subprocess
import sys
import textwrap
from unittest.mock import Mock, call

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from helpers.pictures import PictureError
from tests.benchmarks.cnn import HELD_OUT, steps_of_the_changes
from tests.notebook_code import NOTEBOOKS, ROOT, code_cells, fresh_definitions


@pytest.fixture(scope="module")
def cnn(definitions):
    return definitions("02_keras_cnn_mnist")


def random(*shape, seed=0):
    """Normal numbers in float32, read-only: a function that changes its input raises."""
    array = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    array.flags.writeable = False
    return array


def test_pixels_are_0_for_paper_and_1_for_ink(cnn):
    images = np.array([[[0, 255, 51]]], np.uint8)
    found = cnn.pixels(images)
    assert found.shape == (1, 1, 3, 1) and found.dtype == np.float32
    np.testing.assert_allclose(found[0, 0, :, 0], [0, 1, 0.2])


# --- the layers ---


def keras_layer(layer, x, dy, weights=()):
    """Keras's output and, of the sum of dy * output, the gradients by input and weights."""
    layer.build(x.shape)
    layer.set_weights(weights)
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_sum(y * dy)
    return y.numpy(), [gradient.numpy() for gradient in tape.gradient(loss, [x, *layer.trainable_weights])]


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (2, 5), (3, 4)])
def test_conv2d_is_that_of_keras_forward_and_backward(cnn, size, stride, padding):
    for shape, filters in [((2, 9, 8, 1), 3), ((1, 7, 10, 4), 2), ((3, 5, 5, 2), 1)]:
        x, bias = random(*shape), random(filters, seed=1)
        kernel = random(*size, shape[3], filters, seed=2) / np.float32(np.prod(size))
        kernel.flags.writeable = False
        y = cnn.conv2d(x, kernel, bias, stride, padding)
        dy = random(*y.shape, seed=3)
        layer = layers.Conv2D(filters, size, strides=stride, padding=padding)
        expected, gradients = keras_layer(layer, x, dy, [kernel, bias])
        np.testing.assert_allclose(y, expected, atol=1e-5)
        np.testing.assert_allclose(cnn.conv2d_loops(x, kernel, bias, stride, padding), y, atol=1e-5)
        assert y.dtype == np.float32
        found = cnn.conv2d_backward(dy, x, kernel, stride, padding)
        for ours, theirs in zip(found, gradients, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5)
        nothing, dkernel, dbias = cnn.conv2d_backward(dy, x, kernel, stride, padding, first=True)
        assert nothing is None and np.array_equal(dkernel, found[1]) and np.array_equal(dbias, found[2])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_max_pooling_is_that_of_keras_forward_and_backward(cnn, size):
    for x in (random(2, 7, 8, 3), np.ones((2, 7, 8, 3), np.float32)):  # of equal pixels the first gets the gradient
        y = cnn.max_pool2d(x, size)
        dy = random(*y.shape, seed=1)
        expected, (gradient,) = keras_layer(layers.MaxPooling2D(size), x, dy)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_allclose(cnn.max_pool2d_backward(dy, x, size), gradient, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"padding": "full"}, 'expected padding to be "valid" or "same", got \'full\''),
        ({"stride": 0}, "stride to be a whole number of at least 1, got 0"),
        ({"stride": 1.5}, "stride to be a whole number of at least 1, got 1.5"),
        ({"x": np.zeros((1, 6, 6, 2))}, "kernel for 2 channels, as the images have, got 3"),
        ({"x": np.zeros((1, 2, 6, 3))}, 'a kernel of at most 2 pixels under "valid", got 3'),
        ({"x": np.zeros((6, 6, 3))}, r"expected images \(n, height, width, channels\), got \(6, 6, 3\)"),
        ({"kernel": np.zeros((3, 3, 3))}, r"expected a kernel \(height, width, channels, filters\), got \(3, 3, 3\)"),
        ({"bias": np.zeros(3)}, r"a bias of shape \(2,\), one number a filter, got \(3,\)"),
    ],
)
@pytest.mark.parametrize("function", ["conv2d", "conv2d_loops"])
def test_misuse_of_conv2d_is_told_in_words(cnn, function, changes, message):
    right = {"x": np.zeros((1, 6, 6, 3)), "kernel": np.zeros((3, 3, 3, 2)), "bias": np.zeros(2)}
    with pytest.raises(ValueError, match=message):
        getattr(cnn, function)(**{**right, **changes})


@pytest.mark.parametrize(
    ("shape", "size", "message"),
    [
        ((1, 4, 4, 1), 0, "expected size to be a whole number from 1 to 4, got 0"),
        ((1, 6, 4, 1), 5, "expected size to be a whole number from 1 to 4, got 5"),
        ((4, 4, 1), 2, r"expected images \(n, height, width, channels\), got \(4, 4, 1\)"),
    ],
)
def test_misuse_of_max_pool2d_is_told_in_words(cnn, shape, size, message):
    with pytest.raises(ValueError, match=message):
        cnn.max_pool2d(np.zeros(shape), size)


# --- the network in NumPy ---


def test_a_gradient_that_is_wrong_somewhere_is_seen(cnn):
    array, rng = np.random.default_rng(0).normal(size=(3, 4)), np.random.default_rng(1)
    before, right = array.copy(), 3 * array**2

    def difference(gradient):
        return cnn.largest_difference(lambda: np.sum(array**3), array, gradient, rng)

    assert difference(right) < 1e-8 and np.array_equal(array, before)
    for place in np.ndindex(3, 4):
        wrong = right.copy()
        wrong[place] += 0.5
        assert difference(wrong) == pytest.approx(0.5)


def test_the_numpy_network_starts_as_he_and_others_recommend(cnn):
    kernel, bias, dense, dense_bias = cnn.SmallConvNet(filters=400, rng=0).weights
    assert kernel.std() == pytest.approx((2 / 25) ** 0.5, rel=0.02) and kernel.dtype == np.float32
    assert dense.std() == pytest.approx((1 / (49 * 400)) ** 0.5, rel=0.02)
    assert not bias.any() and not dense_bias.any()
    same, other = cnn.SmallConvNet(rng=1).weights[0], cnn.SmallConvNet(rng=2).weights[0]
    assert np.array_equal(same, cnn.SmallConvNet(rng=1).weights[0]) and not np.array_equal(same, other)


def test_the_numpy_network_trains_as_the_same_one_in_keras(cnn, sample):
    x, target = cnn.pixels(sample.x_train[:32]), np.eye(10, dtype=np.float32)[sample.y_train[:32]]
    ours = cnn.SmallConvNet(rng=0)
    convolution = layers.Conv2D(16, 5, strides=2, padding="same", activation="relu")
    theirs = keras.Sequential([keras.Input((28, 28, 1)), convolution, layers.MaxPooling2D(), layers.Flatten(), layers.Dense(10)])
    theirs.set_weights(ours.weights)
    theirs.compile(keras.optimizers.SGD(0.05, momentum=0.9), keras.losses.CategoricalCrossentropy(from_logits=True))
    losses = theirs.fit(x, target, batch_size=32, epochs=3, verbose=0).history["loss"]
    assert [ours.step(x, target, 0.05) for _ in range(3)] == pytest.approx(losses, rel=1e-5)
    for weight, wanted in zip(ours.weights, theirs.get_weights(), strict=True):
        np.testing.assert_allclose(weight, wanted, atol=1e-5)


# --- the networks in Keras ---


def test_the_plain_network_in_numpy_gives_what_keras_gives(cnn, sample):
    keras.utils.set_random_seed(0)
    network, x = cnn.build_plain(), cnn.pixels(sample.x_test[:300])
    assert network.count_params() == 93_322
    by_hand, by_keras = cnn.forward_in_numpy(network.get_weights(), x), cnn.logits_of(network, x, block=128)
    assert by_hand.shape == (300, 10) and (by_hand.argmax(axis=1) == by_keras.argmax(axis=1)).all()
    np.testing.assert_allclose(by_hand, by_keras, atol=1e-5)


class Nothing:
    """Stands in for a network: keeps what it is trained on, and how."""

    def compile(self, optimizer, loss, **more):
        self.optimizer, self.loss = optimizer, loss

    def fit(self, mini_batches, steps_per_epoch, epochs, callbacks, **more):
        self.seen = [[next(mini_batches) for _ in range(steps_per_epoch)] for _ in range(epochs)]
        self.callbacks = callbacks


def test_training_shows_every_image_once_an_epoch_changed_as_asked(cnn):
    images, labels, network = np.arange(10.0)[:, None], np.arange(10, dtype=np.uint8), Nothing()
    options = {"epochs": 2, "rate": 0.1, "batch_size": 4, "callbacks": ["mine"]}
    cnn.train(network, images, labels, augment=lambda batch, rng: 100 + batch, **options)
    for epoch in network.seen:
        assert [len(batch) for batch, _ in epoch] == [4, 4, 2]
        shown = np.concatenate([np.column_stack([batch, targets.argmax(axis=1)]) for batch, targets in epoch])
        assert np.array_equal(shown[:, 0], 100 + shown[:, 1]) and sorted(shown[:, 1]) == list(range(10))
        assert np.array_equal(np.concatenate([targets for _, targets in epoch]), np.eye(10)[shown[:, 1].astype(int)])
    assert not np.array_equal(network.seen[0][0][1], network.seen[1][0][1]), "both epochs have one order"
    assert "mine" in network.callbacks


def test_training_shows_after_each_step_how_far_it_is():
    names, network = fresh_definitions("02_keras_cnn_mnist"), Nothing()
    names.Progress = line = Mock(**{"return_value.seconds": 1.0})
    names.train(network, np.zeros((10, 1)), np.arange(10), epochs=3, rate=0.1, batch_size=4, label="test")
    for _ in range(2):
        network.callbacks[0].on_train_batch_end(0, {"loss": 0.5})
    line.assert_called_once_with(9, "test")
    assert line.return_value.update.call_args_list == [call(1, "loss 0.500"), call(2, "loss 0.500")]


def test_training_minimizes_cross_entropy_at_a_constant_or_falling_rate(cnn):
    network, images, labels = Nothing(), np.zeros((10, 1)), np.arange(10)
    cnn.train(network, images, labels, epochs=3, rate=0.1, batch_size=4)
    assert float(network.optimizer.learning_rate) == pytest.approx(0.1)
    logits, smoothed = random(10, 10), 0.9 * np.eye(10) + 0.01
    assert float(network.loss(np.eye(10), logits)) == pytest.approx(cnn.cross_entropy(logits, np.eye(10)), rel=1e-4)
    cnn.train(network, images, labels, epochs=3, rate=0.1, batch_size=4, falling=True, smoothing=0.1)
    assert float(network.loss(np.eye(10), logits)) == pytest.approx(cnn.cross_entropy(logits, smoothed), rel=1e-4)
    found = [float(network.optimizer._learning_rate(step)) for step in (0, 3, 9)]
    assert found == pytest.approx([0.1, 0.1 * (1 + np.cos(np.pi / 3)) / 2, 0], abs=1e-8)


@pytest.mark.parametrize(("normalize", "dropout"), [(False, 0), (True, 0), (False, 0.25), (True, 0.25)])
def test_the_better_network_has_the_parts_that_are_asked_for(cnn, normalize, dropout):
    network = cnn.build_better(normalize, dropout)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds.count("BatchNormalization") == 4 * normalize and kinds.count("Dropout") == 2 * bool(dropout)
    assert network.count_params() == 93_322 + 4 * normalize * (32 + 64 + 64 + 64) < 100_000
    if not normalize:  # the layers of the plain network, with ReLU behind the pooling
        plain, x = cnn.build_plain(), random(5, 28, 28, 1)
        network.set_weights(plain.get_weights())
        np.testing.assert_allclose(cnn.logits_of(network, x), cnn.logits_of(plain, x), atol=1e-4)


def test_the_best_network_learns_and_the_same_seed_trains_the_same(cnn, sample):
    def trained(count, seed):
        return cnn.train_best(cnn.pixels(sample.x_train[:count]), sample.y_train[:count], seed)

    assert cnn.accuracy(trained(500, 0), cnn.pixels(sample.x_test), sample.y_test) > 0.8
    assert np.array_equal(*(trained(32, seed=5).get_weights()[0] for _ in range(2)))


def test_the_best_network_starts_and_trains_from_its_seed_on_warped_images():
    names, calls = fresh_definitions("02_keras_cnn_mnist"), []
    names.train = lambda network, images, labels, **options: calls.append((network.get_weights()[0], options))
    for seed in (5, 5, 6):
        names.train_best(None, None, seed)
    (first, options), (again, _), (other, others) = calls
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert (options["seed"], others["seed"]) == (5, 6)
    assert (options["rate"], options["falling"], options["smoothing"]) == (3e-3, True, 0.1)
    assert options["augment"] is names.warp_groups


# --- reading a picture ---


def test_read_digit_gives_a_digit_and_ten_probabilities():
    names = fresh_definitions("02_keras_cnn_mnist")

    def model(images, training):
        """A network that gives the digit 3 a large logit for a stroke in the middle."""
        assert images.shape == (1, 28, 28, 1) and images.dtype == np.float32 and not training
        logits = np.zeros((1, 10), np.float32)
        logits[0, 3] = 10 * (images[0, 4:24, 12:16, 0].mean() - images[0, :, 0, 0].mean())
        return tf.constant(logits)

    names.model = model
    picture = np.ones((60, 60))
    picture[10:50, 27:33] = 0
    digit, probabilities = names.read_digit(picture)
    assert digit == 3 and type(digit) is int
    assert probabilities.shape == (10,) and probabilities.sum() == pytest.approx(1, abs=1e-6)
    assert probabilities.argmax() == 3 and probabilities[3] > 0.9
    for nothing in (np.full((60, 60), 200, np.uint8), "no_such_picture.png"):
        with pytest.raises(PictureError):
            names.read_digit(nothing)


# --- the measured changes ---


@pytest.mark.parametrize(
    ("base", "name", "change"),
    [
        ("rate 0.001", "rate 0.003", "rate"),
        ("rate 0.003", "rate 0.01", "rate"),
        ("rate 0.001", "falling from 0.001", "falling"),
        ("rate 0.003", "falling from 0.003", "falling"),
        ("falling from 0.003", "… and dropout", "dropout"),
        ("falling from 0.003", "… and batch normalization", "normalize"),
        ("falling from 0.003", "… and shifts", "augment"),
        ("falling from 0.003", "… and warps", "augment"),
        ("falling from 0.003", "… and label smoothing", "smoothing"),
        ("… and warps", "normalization and warps", "normalize"),
        ("normalization and warps", "these and dropout", "dropout"),
        ("normalization and warps", "these and label smoothing", "smoothing"),
    ],
)
def test_each_row_of_the_changes_differs_from_its_base_in_one_thing(cnn, base, name, change):
    steps = {
        name: {"normalize": normalize, "dropout": dropout, **options}
        for name, ((normalize, dropout), options) in steps_of_the_changes(cnn).items()
    }
    one, other = steps[base], steps[name]
    assert {key for key in one | other if one.get(key) != other.get(key)} == {change}


def test_the_benchmarks_hold_out_as_many_images_as_the_notebook():
    assert any(f"held = min({HELD_OUT}, " in cell.source for cell in code_cells(NOTEBOOKS[1]))


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
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
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
