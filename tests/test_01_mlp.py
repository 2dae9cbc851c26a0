"""Notebook 01: its gradients, its training beside Keras's, its warps, what its networks promise and what they refuse."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from helpers.data import batches, one_hot
from tests.benchmarks.common import read_results
from tests.notebook_code import NOTEBOOKS, code_cells
from tests.warps import check_random_warp


@pytest.fixture(scope="module")
def nb(definitions):
    return definitions("01_mlp_from_scratch")


XOR = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]), np.array([[0], [1], [1], [0]])
CLASSIFIERS = ["Classifier", "ReluClassifier", "MomentumClassifier"]


# --- the gradient ---


@pytest.mark.parametrize("seed", range(20))
def test_a_step_follows_the_measured_gradient(nb, seed):
    rng = np.random.default_rng(seed)
    x, y, z, n = rng.integers(1, (9, 9, 9, 6))
    net = nb.ThreeLayerNetwork(x, y, z, lr=0.3, rng=rng)
    X, T = rng.normal(size=(n, x)), rng.random((n, z))
    assert max(nb.relative_errors(nb.step_gradients(net, X, T), nb.measured_gradients(net, X, T))) < 1e-7


@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.parametrize("seed", range(10))
def test_a_classifiers_step_follows_the_measured_gradient(nb, seed, kind):
    rng = np.random.default_rng(seed)
    net = getattr(nb, kind)(7, 6, 4, lr=0.3, dtype=np.float64, rng=rng)
    X, T = rng.normal(size=(5, 7)), one_hot(rng.integers(0, 4, 5), 4)
    assert max(nb.relative_errors(nb.step_gradients(net, X, T), nb.measured_gradients(net, X, T, h=1e-6))) < 1e-7


def test_updating_wzy_too_early_fails_the_check(nb):
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(3, 6)), rng.random((3, 4))
    hasty = nb.HastyNetwork(6, 5, 4, lr=0.1, rng=1)
    Wyx, Wzy = nb.relative_errors(nb.step_gradients(hasty, X, T), nb.measured_gradients(hasty, X, T))
    assert Wyx > 1e-3 and Wzy < 1e-7


def test_the_check_needs_a_step_neither_too_large_nor_too_small(nb):
    rng = np.random.default_rng(0)
    net = nb.ThreeLayerNetwork(6, 5, 4, lr=0.1, rng=rng)
    X, T = rng.normal(size=(3, 6)), rng.random((3, 4))
    ours = nb.step_gradients(net, X, T)
    large, good, small = (max(nb.relative_errors(ours, nb.measured_gradients(net, X, T, h))) for h in (0.1, 1e-5, 1e-12))
    assert good < 1e-7 < 1e-4 < min(large, small)


def test_a_batch_has_the_mean_gradient_of_its_samples(nb, sample):
    net = nb.ScaledNetwork(784, 100, 10, lr=1.0, rng=0)
    X, T = nb.rows(sample.x_train[:64]).astype(np.float64), one_hot(sample.y_train[:64])
    singles = [nb.step_gradients(net, x, t) for x, t in zip(X, T)]
    mean = [np.mean([single[matrix] for single in singles], axis=0) for matrix in (0, 1)]
    assert max(nb.relative_errors(nb.step_gradients(net, X, T), mean)) < 1e-12


# --- against Keras ---


def keras_losses(net, X, T, order, activations, loss, momentum):
    """The loss at each step of a Keras network in float64 with the same weights, mini-batches and optimizer."""
    import keras
    import tensorflow as tf

    model = keras.Sequential(
        [
            keras.Input((net.Xnodes,), dtype="float64"),
            keras.layers.Dense(net.Ynodes, activations[0], use_bias=False, dtype="float64"),
            keras.layers.Dense(net.Znodes, activations[1], use_bias=False, dtype="float64"),
        ]
    )
    model.set_weights([net.Wyx.T, net.Wzy.T])
    optimizer = keras.optimizers.SGD(net.lr, momentum=momentum)
    losses = []
    for index in order:
        with tf.GradientTape() as tape:
            E = loss(tf.constant(T[index], tf.float64), model(tf.constant(X[index]), training=True))
        optimizer.apply_gradients(zip(tape.gradient(E, model.trainable_variables), model.trainable_variables))
        losses.append(float(E))
    return losses


def mean_squared(t, o):
    import tensorflow as tf

    return tf.reduce_mean(0.5 * tf.reduce_sum((o - t) ** 2, axis=1))


def mean_cross_entropy(t, logits):
    import tensorflow as tf

    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(t, logits))


@pytest.mark.parametrize(
    ("kind", "lr", "options", "activations", "loss", "momentum"),
    [
        ("ScaledNetwork", 1.0, {}, ("sigmoid", "sigmoid"), mean_squared, 0.0),
        ("Classifier", 1.0, {"dtype": np.float64}, ("sigmoid", None), mean_cross_entropy, 0.0),
        ("ReluClassifier", 0.3, {"dtype": np.float64}, ("relu", None), mean_cross_entropy, 0.0),
        ("MomentumClassifier", 0.1, {"dtype": np.float64}, ("relu", None), mean_cross_entropy, 0.9),
    ],
)
def test_keras_has_the_same_loss_at_each_of_a_hundred_steps(nb, sample, kind, lr, options, activations, loss, momentum):
    X, T = sample.x_train.reshape(-1, 784) / 255.0, one_hot(sample.y_train).astype(np.float64)
    order = list(batches(len(X), 32, np.random.default_rng(0)))[:100]
    net = getattr(nb, kind)(784, 30, 10, lr=lr, rng=0, **options)
    theirs = keras_losses(net, X, T, order, activations, loss, momentum)
    ours = [net.backprop(X[index], T[index]) for index in order]
    assert len(ours) == 100 and ours[-1] < ours[0]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


# --- what the networks promise ---


def test_weights_start_from_n01_or_scaled_to_the_inputs(nb):
    plain, scaled = nb.ThreeLayerNetwork(784, 200, 10, 0.1, rng=0), nb.ScaledNetwork(784, 200, 10, 0.1, rng=0)
    assert plain.Wyx.shape == (200, 784) and plain.Wzy.shape == (10, 200) and plain.Wyx.dtype == np.float64
    assert plain.Wyx.std() == pytest.approx(1, rel=0.02) and plain.Wyx.mean() == pytest.approx(0, abs=0.02)
    np.testing.assert_allclose(scaled.Wyx, plain.Wyx / 28)
    np.testing.assert_allclose(scaled.Wzy, plain.Wzy / 200**0.5)
    for kind in CLASSIFIERS:
        classifier = getattr(nb, kind)(784, 200, 10, 0.1, rng=0)
        assert classifier.Wyx.dtype == classifier.Wzy.dtype == np.float32
        np.testing.assert_allclose(classifier.Wyx, scaled.Wyx, rtol=1e-6)


def test_the_same_seed_gives_the_same_network_and_training(nb, sample):
    def trained(seed):
        net = nb.MomentumClassifier(784, 20, 10, 0.1, rng=seed)
        nb.train(net, sample.x_train[:500], sample.y_train[:500], epochs=2, augment=nb.warp_quarters, rng=seed)
        return net.Wyx

    assert np.array_equal(trained(5), trained(5)) and not np.array_equal(trained(5), trained(6))
    assert not np.array_equal(nb.ThreeLayerNetwork(3, 4, 1, 1.0).Wyx, nb.ThreeLayerNetwork(3, 4, 1, 1.0).Wyx)


def test_the_sigmoid_neither_overflows_nor_leaves_its_range(nb):
    assert nb.sigmoid(0.0) == 0.5 and nb.derivative_sigmoid(nb.sigmoid(0.0)) == 0.25
    ends = nb.sigmoid(np.array([-1e300, -np.inf, np.inf, 1e300]))
    assert np.all((0 <= ends) & (ends <= 1)) and ends[0] == pytest.approx(1e-15)


def test_feedforward_gives_one_column_for_each_row(nb):
    net = nb.ThreeLayerNetwork(3, 4, 2, 0.1, rng=0)
    assert net.feedforward([1, 2, 3]).shape == (2, 1)
    assert net.feedforward(np.ones((5, 3))).shape == (2, 5)
    np.testing.assert_allclose(net.feedforward([[1, 2, 3], [4, 5, 6]])[:, :1], net.feedforward([1, 2, 3]))


def test_backprop_returns_the_loss_before_its_step(nb):
    net = nb.ThreeLayerNetwork(2, 3, 1, 0.5, rng=0)
    X, T = np.array([0.3, 0.7]), np.array([1.0])
    before = 0.5 * (net.feedforward(X)[0, 0] - 1) ** 2
    assert net.backprop(X, T) == pytest.approx(before)
    after = 0.5 * (net.feedforward(X)[0, 0] - 1) ** 2
    assert net.backprop(X, T) == pytest.approx(after) and after < before
    assert np.array_equal(X, [0.3, 0.7]) and np.array_equal(T, [1.0])


@pytest.mark.parametrize("seed", range(5))
def test_it_learns_xor_from_every_start_tried(nb, seed):
    net = nb.ThreeLayerNetwork(3, 4, 1, lr=1.0, rng=seed)
    for _ in range(2000):
        for x, t in zip(*XOR):
            net.backprop(x, t)
    assert np.all(np.abs(net.feedforward(XOR[0]) - XOR[1].T) < 0.1)


@pytest.mark.parametrize("kind, lr", [("ScaledNetwork", 2.0), ("Classifier", 1.0), ("MomentumClassifier", 0.1)])
def test_a_small_network_learns_the_sample_of_mnist(nb, sample, kind, lr):
    net = nb.in_single_precision(getattr(nb, kind)(784, 50, 10, lr, rng=0))
    held = sample.x_test, sample.y_test
    losses, found = nb.train(net, sample.x_train, sample.y_train, epochs=8, batch_size=32, schedule=nb.cosine, held=held, rng=0)
    assert len(losses) == len(found) == 8 and losses[-1] < 0.5 * losses[0]
    assert found[-1] == nb.accuracy(net, *held) > 0.85
    assert net.Wyx.dtype == np.float32


def test_training_one_by_one_is_backprop_image_by_image(nb, sample):
    ours, by_hand = (nb.ScaledNetwork(784, 5, 10, 0.1, rng=0) for _ in range(2))
    nb.train_one_by_one(ours, sample.x_train[:20], sample.y_train[:20], "twenty")
    for image, label in zip(sample.x_train[:20], sample.y_train[:20]):
        by_hand.backprop(image.ravel() / 255, np.eye(10)[label])
    np.testing.assert_allclose(ours.Wyx, by_hand.Wyx, atol=1e-7)


def test_predict_takes_images_and_gives_probabilities(nb, sample):
    net = nb.MomentumClassifier(784, 30, 10, 0.1, rng=0)
    p = net.predict(sample.x_test[:7])
    assert p.shape == (7, 10) and np.all(p >= 0)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(p.T, net.feedforward(sample.x_test[:7].reshape(7, 784) / 255), rtol=1e-5)


def test_softmax_and_cross_entropy_bear_large_logits(nb):
    logits, targets = np.array([[1000.0, -1000.0], [999.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    p = nb.softmax(logits)
    np.testing.assert_allclose(p.sum(axis=0), 1)
    assert p[0, 0] == pytest.approx(1 / (1 + np.exp(-1)))
    assert nb.cross_entropy(logits, targets) == pytest.approx((1 + math.log1p(math.exp(-1)) + 1000) / 2)
    usual = np.random.default_rng(0).normal(size=(4, 9))
    targets = np.eye(4)[[0, 1, 2, 3, 0, 1, 2, 3, 0]].T
    assert nb.cross_entropy(usual, targets) == pytest.approx(-np.mean(np.log(nb.softmax(usual)[targets == 1])))


def test_the_first_loss_of_a_classifier_is_near_ln_10(nb, sample):
    for kind in CLASSIFIERS:
        net = getattr(nb, kind)(784, 100, 10, 0.1, rng=0)
        first = net.backprop(nb.rows(sample.x_test), one_hot(sample.y_test))
        assert first == pytest.approx(math.log(10), abs=0.25)


# --- the training loop ---


def watched(nb, steps):
    """A classifier that notes what `train` gives it (learning rate, inputs, targets), and learns nothing."""

    class Watching(nb.Classifier):
        def step(self, Xout, Zteach):
            steps.append((self.lr, Xout, Zteach))
            return 1.0

    return Watching(784, 2, 10, 0.4, rng=0)


def test_each_epoch_has_every_image_once_in_a_new_order(nb, sample):
    steps = []
    losses, _ = nb.train(watched(nb, steps), sample.x_train[:50], sample.y_train[:50], epochs=2, batch_size=20, rng=0)
    assert [X.shape for _, X, _ in steps] == 2 * [(784, 20), (784, 20), (784, 10)]
    first, second = (np.concatenate([X for _, X, _ in part], axis=1).T for part in (steps[:3], steps[3:]))
    wanted = nb.rows(sample.x_train[:50])
    for epoch in (first, second):
        np.testing.assert_array_equal(np.sort(epoch, axis=0), np.sort(wanted, axis=0))
    assert not np.array_equal(first, second)
    order = [int(np.flatnonzero((wanted == row).all(axis=1))[0]) for row in first]
    labels = np.concatenate([T for _, _, T in steps[:3]], axis=1).argmax(axis=0)
    np.testing.assert_array_equal(labels, sample.y_train[:50][order])
    np.testing.assert_allclose(losses, 1.0)


def test_the_learning_rate_falls_along_half_a_cosine(nb):
    steps = []
    net = watched(nb, steps)
    blank = np.zeros((10, 28, 28), np.uint8), np.arange(10)
    nb.train(net, *blank, epochs=5, batch_size=5, schedule=nb.cosine, rng=0)
    np.testing.assert_allclose([lr for lr, _, _ in steps], 0.2 * (1 + np.cos(np.pi * np.arange(10) / 10)))
    assert net.lr == 0.4, "the learning rate is not put back"
    steps.clear()
    nb.train(net, *blank, epochs=1, batch_size=3, rng=0)
    assert [lr for lr, _, _ in steps] == [0.4] * 4


# --- the warps ---


def test_a_warp_fetches_whole_pixels_and_mixes_neighbours(nb):
    X = np.random.default_rng(0).random((784, 3), np.float32)
    image = X.reshape(28, 28, 3)
    np.testing.assert_allclose(nb.warp(X, nb.PIXELS), X, atol=2e-3)
    moved = nb.warp(X, nb.PIXELS + [[[2.0]], [[1.0]]]).reshape(28, 28, 3)
    np.testing.assert_allclose(moved[:24, :25], image[2:26, 1:26], atol=1e-6)
    assert np.abs(moved[26:, :25] - image[27:, 1:26]).max() < 2e-3, "beyond the edge, the edge is fetched"
    between = nb.warp(X, nb.PIXELS + [[[0.25]], [[0.5]]]).reshape(28, 28, 3)
    upper, lower = (image[rows, :26] / 2 + image[rows, 1:27] / 2 for rows in (slice(0, 26), slice(1, 27)))
    np.testing.assert_allclose(between[:26, :26], 0.75 * upper + 0.25 * lower, atol=1e-6)
    assert nb.warp(X, nb.PIXELS).dtype == np.float32


def test_a_random_warp_is_smooth_and_as_strong_as_asked(nb):
    check_random_warp(nb, affine=0.05)


def test_each_quarter_of_a_mini_batch_has_its_own_warp(nb, sample):
    X = np.repeat(nb.rows(sample.x_train[:1]), 10, axis=0).T
    warped = nb.warp_quarters(X, np.random.default_rng(0))
    assert warped.shape == X.shape and warped.dtype == np.float32 and 0 <= warped.min() <= warped.max() <= 1
    differs = [bool((warped[:, k] != warped[:, k + 1]).any()) for k in range(9)]
    assert differs == [False, False, True, False, False, True, False, True, False]  # 3 + 3 + 2 + 2
    assert nb.warp_quarters(X[:, :1], np.random.default_rng(0)).shape == (784, 1)
    still = nb.warp_quarters(X, np.random.default_rng(0), elastic=0, affine=0, shift=0)
    np.testing.assert_allclose(still, X, atol=1e-2)


# --- what they refuse ---


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0, 2, 1, 0.1), "Xnodes"),
        ((2, -3, 1, 0.1), "Ynodes"),
        ((2, 2, 1.5, 0.1), "Znodes"),
        ((2, "2", 1, 0.1), "Ynodes"),
        ((True, 2, 1, 0.1), "Xnodes"),
        ((2, 2, 1, 0.0), "lr"),
        ((2, 2, 1, -1.0), "lr"),
        ((2, 2, 1, float("nan")), "lr"),
        ((2, 2, 1, float("inf")), "lr"),
        ((2, 2, 1, "0.1"), "lr"),
        ((2, 2, 1, None), "lr"),
    ],
)
def test_bad_sizes_and_learning_rates_are_refused_by_name(nb, arguments, name):
    for kind in (nb.ThreeLayerNetwork, nb.MomentumClassifier):
        with pytest.raises(ValueError, match=f"expected {name} to be .* got "):
            kind(*arguments)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([1.0, 2.0], r"shape \(3,\) or \(n, 3\), got shape \(2,\)"),
        (np.ones((4, 2)), r"shape \(3,\) or \(n, 3\), got shape \(4, 2\)"),
        (np.ones((2, 2, 3)), r"got shape \(2, 2, 3\)"),
        (np.ones((0, 3)), r"got shape \(0, 3\)"),
        ([1.0, float("nan"), 0.0], "finite"),
        ([1.0, float("inf"), 0.0], "finite"),
        (["a", "b", "c"], "numbers"),
        ([None, 1, 2], "numbers"),
        ([1j, 2, 3], "numbers"),
        ([[1, 2, 3], [1, 2]], "numbers"),
    ],
)
def test_bad_rows_are_refused_with_what_was_expected_and_what_came(nb, rows, message):
    for kind in (nb.ThreeLayerNetwork, nb.Classifier):
        net = kind(3, 4, 2, 0.1, rng=0)
        before = net.Wyx.copy()
        with pytest.raises(ValueError, match=f"expected idata .*{message}"):
            net.feedforward(rows)
        with pytest.raises(ValueError, match=f"expected Xrow .*{message}"):
            net.backprop(rows, [0, 1])
        assert np.array_equal(net.Wyx, before)


def test_targets_of_another_length_or_number_are_refused(nb):
    for kind in (nb.ThreeLayerNetwork, nb.Classifier):
        net = kind(3, 4, 2, 0.1, rng=0)
        with pytest.raises(ValueError, match=r"expected Trow of shape \(2,\) or \(n, 2\), got shape \(3,\)"):
            net.backprop([1, 2, 3], [0, 1, 0])
        with pytest.raises(ValueError, match="expected Trow to have 1 rows, one for each sample, got 2"):
            net.backprop([1, 2, 3], [[0, 1], [1, 0]])


def test_predict_and_train_refuse_what_is_no_image(nb):
    net = nb.Classifier(784, 5, 10, 0.1, rng=0)
    for images in (np.zeros((28, 28), np.uint8), np.zeros((2, 28, 28)), np.zeros((2, 14, 56), np.uint8)):
        for call in (net.predict, lambda images: nb.train(net, images, np.zeros(len(images), int), epochs=1)):
            with pytest.raises(ValueError, match=r"expected uint8 images of shape \(n, 28, 28\), got "):
                call(images)
    with pytest.raises(ValueError, match="expected 2 labels, one for each image, got 3"):
        nb.train(net, np.zeros((2, 28, 28), np.uint8), np.array([0, 1, 2]), epochs=1)
    with pytest.raises(ValueError, match="expected labels from 0 to 9, got 0 to 10"):
        nb.train(net, np.zeros((2, 28, 28), np.uint8), np.array([0, 10]), epochs=1)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, "much"])
def test_momentum_lies_from_0_up_to_but_not_1(nb, momentum):
    with pytest.raises(ValueError, match="expected momentum to be "):
        nb.MomentumClassifier(3, 4, 2, 0.1, momentum=momentum)


def test_training_that_diverges_says_so(nb, sample):
    net = nb.MomentumClassifier(784, 50, 10, lr=1e30, rng=0)
    with pytest.raises(FloatingPointError, match="training diverged.*learning rate below"):
        nb.train(net, sample.x_train[:256], sample.y_train[:256], epochs=5, batch_size=32, rng=0)
    net = nb.ThreeLayerNetwork(3, 4, 1, lr=1e308, rng=0)
    with pytest.raises(FloatingPointError, match="training diverged"):
        for _ in range(50):
            net.backprop(*XOR)


# --- the figure and the benchmark ---


def test_the_notebook_prints_and_draws_the_benchmarks_results():
    said = [output for cell in code_cells(NOTEBOOKS[0]) for output in cell.outputs]
    table = "".join(output.text for output in said if output.output_type == "stream")
    alts = [output.metadata["image/png"]["alt"] for output in said if "image/png" in output.get("data", {})]
    for step, found in read_results("mlp-ladder").items():
        mean = np.mean(found["mistakes, %"])
        assert any(line.startswith(step) and line.endswith(f"mean {mean:5.2f} %") for line in table.splitlines())
        assert any(f"{step} {mean:.2f} %" in alt for alt in alts)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("scaled start", r"after one epoch, ([\d.]+)% after five"),
        ("softmax, cross-entropy", r"held-out images: ([\d.]+)% after five epochs"),
        ("ReLU", r"ReLU after five epochs: ([\d.]+)%"),
    ],
)
def test_the_executed_steps_agree_with_the_benchmark(step, said):
    """The notebook runs seed 1; another machine's rounding may decide ten of the 10,000 images otherwise."""
    outputs = [output for cell in code_cells(NOTEBOOKS[0]) for output in cell.outputs if output.output_type == "stream"]
    (right,) = re.findall(said, "".join(output.text for output in outputs))
    assert abs(100 - float(right) - read_results("mlp-ladder")[step]["mistakes, %"][0]) < 0.1
