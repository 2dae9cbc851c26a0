"""Notebook 02: its layers are Keras's, forward and backward; its networks learn; misuse is refused; two devices do as one."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from helpers.pictures import PictureError
from tests.benchmarks.cnn import HELD_OUT, steps_of_the_changes
from tests.benchmarks.common import read_results
from tests.notebook_code import NOTEBOOKS, ROOT, code_cells, fresh_definitions
from tests.warps import check_random_warp


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
def test_conv2d_is_that_of_keras_forward_and_backward(cnn, size, stride, padding):
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
def test_max_pooling_is_that_of_keras_forward_and_backward(cnn, size):
    x = random(2, 7, 8, 3)
    y = cnn.max_pool2d(x, size)
    dy = random(*y.shape, seed=1)
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        expected = layers.MaxPooling2D(size)(tensor)
        loss = tf.reduce_sum(expected * dy)
    np.testing.assert_array_equal(y, expected.numpy())
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
        ({"padding": "full"}, 'expected padding to be "valid" or "same", got \'full\''),
        ({"stride": 0}, "stride to be a whole number of at least 1, got 0"),
        ({"stride": -1}, "stride to be a whole number of at least 1, got -1"),
        ({"stride": 1.5}, "stride to be a whole number of at least 1, got 1.5"),
        ({"stride": True}, "stride to be a whole number of at least 1, got True"),
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
        ((1, 4, 4, 1), 5, "expected size to be a whole number from 1 to 4, got 5"),
        ((1, 6, 4, 1), 5, "from 1 to 4, got 5"),
        ((1, 4, 4, 1), 1.5, "got 1.5"),
        ((1, 4, 4, 1), True, "got True"),
        ((4, 4, 1), 2, r"expected images \(n, height, width, channels\), got \(4, 4, 1\)"),
    ],
)
def test_misuse_of_max_pool2d_is_told_in_words(cnn, shape, size, message):
    with pytest.raises(ValueError, match=message):
        cnn.max_pool2d(np.zeros(shape), size)


def test_the_first_layer_may_leave_out_the_gradient_by_its_input(cnn):
    x, kernel = random(2, 6, 6, 1), random(3, 3, 1, 2, seed=1)
    dy = random(2, 4, 4, 2, seed=2)
    _, dkernel, dbias = cnn.conv2d_backward(dy, x, kernel)
    nothing, dkernel_alone, dbias_alone = cnn.conv2d_backward(dy, x, kernel, first=True)
    assert nothing is None
    np.testing.assert_array_equal(dkernel, dkernel_alone)
    np.testing.assert_array_equal(dbias, dbias_alone)


# --- the networks ---


def test_softmax_and_cross_entropy_are_those_of_keras_for_large_logits_too(cnn):
    logits, labels = 300 * random(6, 10), np.arange(6)
    target = np.eye(10)[labels]
    np.testing.assert_allclose(cnn.softmax(logits), keras.ops.softmax(logits).numpy(), atol=1e-6)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    assert cnn.cross_entropy(logits, target) == pytest.approx(float(loss), rel=1e-6)


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


def test_the_gradients_of_the_numpy_network_are_right(cnn, sample):
    network = cnn.SmallConvNet(filters=2, dtype=np.float64, rng=0)
    network.weights[1][:] = 0.1, -0.1  # on empty paper a bias of 0 would stand on the corner of ReLU
    x, target = cnn.pixels(sample.x_train[:3]).astype(float), np.eye(10)[sample.y_train[:3]]
    loss, gradients = network.gradients(x, target)
    assert loss == pytest.approx(cnn.cross_entropy(network.forward(x), target))
    rng = np.random.default_rng(0)
    for weight, gradient in zip(network.weights, gradients, strict=True):
        assert cnn.largest_difference(lambda: network.gradients(x, target)[0], weight, gradient, rng) < 1e-7


def test_the_numpy_network_starts_as_he_and_others_recommend(cnn):
    kernel, bias, dense, dense_bias = cnn.SmallConvNet(filters=400, rng=0).weights
    assert kernel.std() == pytest.approx((2 / 25) ** 0.5, rel=0.02) and kernel.dtype == np.float32
    assert dense.std() == pytest.approx((1 / (49 * 400)) ** 0.5, rel=0.02)
    assert not bias.any() and not dense_bias.any()
    same, other = cnn.SmallConvNet(rng=1).weights[0], cnn.SmallConvNet(rng=2).weights[0]
    assert np.array_equal(same, cnn.SmallConvNet(rng=1).weights[0]) and not np.array_equal(same, other)


def test_a_step_of_momentum_is_that_of_keras(cnn, sample):
    x, target = cnn.pixels(sample.x_train[:32]), np.eye(10, dtype=np.float32)[sample.y_train[:32]]
    ours, theirs = cnn.SmallConvNet(rng=0), cnn.SmallConvNet(rng=0)
    variables = [keras.Variable(weight) for weight in theirs.weights]
    sgd = keras.optimizers.SGD(0.05, momentum=0.9)
    for _ in range(3):
        theirs.weights = [variable.numpy() for variable in variables]
        sgd.apply(theirs.gradients(x, target)[1], variables)
        ours.step(x, target, 0.05)
    for weight, variable in zip(ours.weights, variables, strict=True):
        np.testing.assert_allclose(weight, variable.numpy(), atol=1e-5)


def test_the_numpy_network_learns(cnn, sample):
    network, rng = cnn.SmallConvNet(rng=0), np.random.default_rng(0)
    x, target = cnn.pixels(sample.x_train), np.eye(10, dtype=np.float32)[sample.y_train]
    for batch in cnn.batches(len(x), 32, rng):
        network.step(x[batch], target[batch], 0.05)
    assert np.mean(network.forward(cnn.pixels(sample.x_test)).argmax(axis=1) == sample.y_test) > 0.85


def test_the_plain_network_in_numpy_gives_what_keras_gives(cnn, sample):
    keras.utils.set_random_seed(0)
    network, x = cnn.build_plain(), cnn.pixels(sample.x_test[:300])
    assert network.count_params() == 93_322
    by_hand, by_keras = cnn.forward_in_numpy(network.get_weights(), x), cnn.logits_of(network, x, block=128)
    assert by_hand.shape == (300, 10) and (by_hand.argmax(axis=1) == by_keras.argmax(axis=1)).all()
    np.testing.assert_allclose(by_hand, by_keras, atol=1e-5)


class Nothing:
    """Stands in for a network: keeps what it is trained on."""

    def __init__(self):
        self.compiled, self.seen = {}, []

    def compile(self, optimizer, loss, **more):
        self.compiled = {"optimizer": optimizer, "loss": loss}

    def fit(self, mini_batches, steps_per_epoch, epochs, **more):
        self.seen = [[next(mini_batches) for _ in range(steps_per_epoch)] for _ in range(epochs)]


def test_training_shows_every_image_once_an_epoch_changed_as_asked(cnn):
    images, labels = np.arange(10.0)[:, None], np.arange(10)
    network = Nothing()
    cnn.train(network, images, labels, epochs=2, rate=0.1, batch_size=4, augment=lambda batch, rng: 100 + batch)
    for epoch in network.seen:
        assert [len(batch) for batch, _ in epoch] == [4, 4, 2]
        shown = np.concatenate([np.column_stack([batch, labels]) for batch, labels in epoch])
        assert np.array_equal(shown[:, 0], 100 + shown[:, 1]) and sorted(shown[:, 1]) == list(range(10))
    assert not np.array_equal(network.seen[0][0][1], network.seen[1][0][1]), "both epochs have one order"


def test_the_rate_of_a_training_is_constant_or_falls_to_zero(cnn):
    network, images, labels = Nothing(), np.zeros((10, 1)), np.arange(10)
    cnn.train(network, images, labels, epochs=3, rate=0.1, batch_size=4)
    assert float(network.compiled["optimizer"].learning_rate) == pytest.approx(0.1)
    cnn.train(network, images, labels, epochs=3, rate=0.1, batch_size=4, falling=True)
    schedule = network.compiled["optimizer"]._learning_rate
    found = [float(schedule(step)) for step in (0, 3, 9)]
    assert found == pytest.approx([0.1, 0.1 * (1 + np.cos(np.pi / 3)) / 2, 0], abs=1e-8)


def test_training_uses_the_cross_entropy_of_logits(cnn, sample):
    keras.utils.set_random_seed(0)
    network, x, y = cnn.build_plain(), cnn.pixels(sample.x_train[:64]), sample.y_train[:64]
    expected = cnn.cross_entropy(cnn.logits_of(network, x), np.eye(10)[y])
    losses = []
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: losses.append(logs["loss"]))
    cnn.train(network, x, y, epochs=1, rate=1e-3, callbacks=[note])
    assert losses == [pytest.approx(float(expected), rel=1e-4)]


def test_the_same_seed_trains_the_same_network(cnn, sample):
    def trained(seed):
        keras.utils.set_random_seed(seed)
        network = cnn.build_better()
        cnn.train(network, cnn.pixels(sample.x_train[:256]), sample.y_train[:256], epochs=1, rate=1e-3,
                  augment=cnn.warp_groups, seed=seed)  # fmt: skip
        return network.get_weights()[0]

    first = trained(5)
    assert np.array_equal(first, trained(5)) and not np.array_equal(first, trained(6))


@pytest.mark.parametrize(("normalize", "dropout"), [(False, 0), (True, 0), (False, 0.25), (True, 0.25)])
def test_the_better_network_has_the_parts_that_are_asked_for(cnn, normalize, dropout):
    network = cnn.build_better(normalize, dropout)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds.count("BatchNormalization") == 4 * normalize and kinds.count("Dropout") == 2 * bool(dropout)
    assert network.count_params() == 93_322 + 4 * normalize * (32 + 64 + 64 + 64) < 100_000
    plain = cnn.build_plain()
    if not normalize:  # the same layers, with ReLU behind the pooling
        network.set_weights(plain.get_weights())
        x = random(5, 28, 28, 1)
        np.testing.assert_allclose(cnn.logits_of(network, x), cnn.logits_of(plain, x), atol=1e-4)


def test_the_better_network_learns_from_half_of_the_sample(cnn, sample):
    keras.utils.set_random_seed(0)
    network = cnn.build_better()
    x, y = cnn.pixels(sample.x_train[::2]), sample.y_train[::2]
    cnn.train(network, x, y, epochs=2, rate=3e-3, falling=True, augment=cnn.warp_groups, batch_size=32, seed=0)
    assert cnn.accuracy(network, cnn.pixels(sample.x_test), sample.y_test) > 0.8


# --- the warps ---


def test_a_warp_fetches_whole_pixels_and_mixes_neighbours(cnn):
    images = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    np.testing.assert_allclose(cnn.warp(images, cnn.PIXELS), images, atol=2e-3)
    moved = cnn.warp(images, cnn.PIXELS + [[[2.0]], [[1.0]]])
    np.testing.assert_allclose(moved[:, :24, :25], images[:, 2:26, 1:26], atol=1e-6)
    assert np.abs(moved[:, 26:, :25] - images[:, 27:, 1:26]).max() < 2e-3, "beyond the edge, the edge is fetched"
    between = cnn.warp(images, cnn.PIXELS + [[[0.25]], [[0.5]]])
    upper, lower = (images[:, rows, :26] / 2 + images[:, rows, 1:27] / 2 for rows in (slice(0, 26), slice(1, 27)))
    np.testing.assert_allclose(between[:, :26, :26], 0.75 * upper + 0.25 * lower, atol=1e-6)
    assert cnn.warp(images, cnn.PIXELS).dtype == np.float32


def test_a_random_warp_is_smooth_and_as_strong_as_asked(cnn):
    check_random_warp(cnn, affine=0.04)


def test_each_eighth_of_a_mini_batch_has_its_own_warp(cnn, sample):
    images = np.repeat(cnn.pixels(sample.x_train[:1]), 12, axis=0)
    warped = cnn.warp_groups(images, np.random.default_rng(0))
    assert warped.shape == images.shape and warped.dtype == np.float32 and 0 <= warped.min() <= warped.max() <= 1
    differs = [bool((warped[k] != warped[k + 1]).any()) for k in range(11)]
    assert differs == [False, True] * 4 + [True] * 3  # 4 pairs, then 4 single ones
    assert cnn.warp_groups(images[:3], np.random.default_rng(0)).shape == (3, 28, 28, 1)
    still = cnn.warp_groups(images, np.random.default_rng(0), elastic=0, affine=0, shift=0)
    np.testing.assert_allclose(still, images, atol=1e-2)


# --- reading a picture ---


@pytest.fixture
def reading():
    """The notebook's `read_digit`, with a network that gives the digit 3 a large logit for a stroke in the middle."""
    names = fresh_definitions("02_keras_cnn_mnist")

    def model(images, training):
        assert images.shape == (1, 28, 28, 1) and images.dtype == np.float32 and not training
        logits = np.zeros((1, 10), np.float32)
        logits[0, 3] = 10 * (images[0, 4:24, 12:16, 0].mean() - images[0, :, 0, 0].mean())
        return tf.constant(logits)

    names.model = model
    return names.read_digit


def test_read_digit_gives_a_digit_and_ten_probabilities(reading):
    picture = np.ones((60, 60))
    picture[10:50, 27:33] = 0
    digit, probabilities = reading(picture)
    assert digit == 3 and type(digit) is int
    assert probabilities.shape == (10,) and probabilities.sum() == pytest.approx(1, abs=1e-6)
    assert probabilities.argmax() == 3 and probabilities[3] > 0.9


@pytest.mark.parametrize("picture", [np.full((60, 60), 200, np.uint8), np.full((28, 28), np.nan), "no_such_picture.png", 7])
def test_read_digit_refuses_what_holds_no_digit(reading, picture):
    with pytest.raises(PictureError):
        reading(picture)


# --- the measured changes ---


def test_each_change_differs_from_the_row_it_is_compared_with_by_one_thing(cnn):
    steps = {name: {"structure": s, **options} for name, (s, options) in steps_of_the_changes(cnn).items()}

    def differences(one, other):
        return {key for key in steps[one] | steps[other] if steps[one].get(key) != steps[other].get(key)}

    assert differences("rate 0.001", "rate 0.003") == differences("rate 0.003", "rate 0.01") == {"rate"}
    assert differences("rate 0.001", "falling from 0.001") == differences("rate 0.003", "falling from 0.003") == {"falling"}
    base = "falling from 0.003"
    for name in ("… and dropout", "… and batch normalization"):
        assert differences(base, name) == {"structure"}
    for name in ("… and shifts", "… and warps"):
        assert differences(base, name) == {"augment"}
    assert differences("… and warps", "normalization and warps") == {"structure"}
    assert differences("normalization and warps", "all three") == {"structure"}


def test_the_table_and_the_figure_of_the_changes_are_the_benchmark():
    (path,) = [path for path in NOTEBOOKS if path.stem.startswith("02")]
    cells = code_cells(path)
    (table,) = [output.text for cell in cells for output in cell.outputs if output.get("text", "").startswith("rate 0.001 ")]
    figures = [output.metadata.get("image/png", {}) for cell in cells for output in cell.outputs if "metadata" in output]
    alts = [figure["alt"] for figure in figures if "alt" in figure]
    for change, found in read_results("cnn-changes").items():
        mean = np.mean(found["mistakes, %"])
        assert any(line.startswith(change + " ") and line.endswith(f"mean {mean:5.2f} %") for line in table.splitlines())
        assert any(f"{change} {mean:.2f} %" in alt for alt in alts)


def test_the_benchmarks_hold_out_as_many_images_as_the_notebook():
    (path,) = [path for path in NOTEBOOKS if path.stem.startswith("02")]
    assert any(f"held = min({HELD_OUT}, " in cell.source for cell in code_cells(path))


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
