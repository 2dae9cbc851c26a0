"""What is true of the network of notebook 01: its gradients, its arithmetic against Keras, and its manners."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.data import batches, one_hot


@pytest.fixture(scope="module")
def nb(definitions):
    return definitions("01_mlp_from_scratch")


XOR = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]), np.array([[0], [1], [1], [0]])


# --- the gradient ---


@pytest.mark.parametrize("seed", range(20))
def test_a_step_follows_the_gradient_that_central_differences_measure(nb, seed):
    rng = np.random.default_rng(seed)
    x, y, z, n = (int(rng.integers(1, most)) for most in (9, 9, 9, 6))
    net = nb.ThreeLayerNetwork(x, y, z, lr=0.3, rng=rng)
    X, T = rng.normal(size=(n, x)), rng.random((n, z))
    errors = nb.relative_errors(nb.step_gradients(net, X, T), nb.measured_gradients(net, X, T))
    assert max(errors) < 1e-7


@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_the_classifiers_step_follows_the_measured_gradient_too(nb, seed, rectify):
    rng = np.random.default_rng(seed)
    net = nb.Classifier(7, 6, 4, lr=0.3, rectify=rectify, dtype=np.float64, rng=rng)
    X, T = rng.normal(size=(5, 7)), one_hot(rng.integers(0, 4, 5), 4)
    assert max(nb.relative_errors(nb.step_gradients(net, X, T), nb.measured_gradients(net, X, T, h=1e-6))) < 1e-7


def test_moving_wzy_before_the_error_has_passed_through_it_fails_the_check(nb):
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(3, 6)), rng.random((3, 4))
    hasty = nb.HastyNetwork(6, 5, 4, lr=0.1, rng=1)
    Wyx, Wzy = nb.relative_errors(nb.step_gradients(hasty, X, T), nb.measured_gradients(hasty, X, T))
    assert Wyx > 1e-3
    assert Wzy < 1e-7


def test_dropout_is_followed_exactly_where_it_is_fixed(nb):
    net = nb.Classifier(7, 30, 4, lr=0.3, dropout=0.5, dtype=np.float64, rng=0)
    rng = np.random.default_rng(1)
    X, T = rng.normal(size=(5, 7)), one_hot(rng.integers(0, 4, 5), 4)
    net.rng = np.random.default_rng(7)
    keep = (np.random.default_rng(7).random((30, 5), np.float32) >= 0.5) * 2.0
    ours = nb.step_gradients(net, X, T)

    def error():
        return net.error(nb.softmax(net.Wzy @ (nb.relu(net.Wyx @ X.T) * keep)), T.T)

    for W, gradient in zip((net.Wyx, net.Wzy), ours, strict=True):
        for place in [(0, 0), (1, 3), (3, 6)]:
            weight = W[place]
            W[place] = weight + 1e-6
            above = error()
            W[place] = weight - 1e-6
            assert gradient[place] == pytest.approx((above - error()) / 2e-6, rel=1e-6, abs=1e-9)
            W[place] = weight


def test_the_gradient_of_a_batch_is_the_mean_of_the_gradients_of_its_samples(nb, sample):
    net = nb.ThreeLayerNetwork(784, 100, 10, lr=1.0, scaled=True, rng=0)
    X, T = nb.rows(sample.x_train[:64]).astype(np.float64), one_hot(sample.y_train[:64])
    singles = [nb.step_gradients(net, x, t) for x, t in zip(X, T, strict=True)]
    mean = [np.mean(gradients, axis=0) for gradients in zip(*singles, strict=True)]
    assert max(nb.relative_errors(nb.step_gradients(net, X, T), mean)) < 1e-12


# --- against Keras ---


def keras_losses(net, X, T, order, activations, loss, momentum):
    """The loss at each step of a Keras network in float64 with the same weights, batches and optimiser."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((net.Xnodes,), dtype="float64"),
            keras.layers.Dense(net.Ynodes, activations[0], use_bias=False, dtype="float64"),
            keras.layers.Dense(net.Znodes, activations[1], use_bias=False, dtype="float64"),
        ]
    )
    model.set_weights([net.Wyx.T, net.Wzy.T])
    optimizer = keras.optimizers.SGD(net.lr, momentum=momentum)

    import tensorflow as tf

    losses = []
    for index in order:
        with tf.GradientTape() as tape:
            E = loss(tf.constant(T[index], tf.float64), model(tf.constant(X[index]), training=True))
        optimizer.apply_gradients(zip(tape.gradient(E, model.trainable_variables), model.trainable_variables, strict=True))
        losses.append(float(E))
    return losses


def hundred_batches(sample):
    X, T = sample.x_train.reshape(-1, 784) / 255.0, one_hot(sample.y_train).astype(np.float64)
    return X, T, list(batches(len(X), 32, np.random.default_rng(0)))[:100]


def test_keras_finds_the_same_error_at_each_of_a_hundred_steps(nb, sample):
    import tensorflow as tf

    X, T, order = hundred_batches(sample)
    net = nb.ThreeLayerNetwork(784, 30, 10, lr=1.0, scaled=True, rng=0)
    theirs = keras_losses(
        net, X, T, order, ("sigmoid", "sigmoid"), lambda t, o: tf.reduce_mean(0.5 * tf.reduce_sum((o - t) ** 2, axis=1)), 0.0
    )
    ours = [net.backprop(X[index], T[index]) for index in order]
    assert len(ours) == 100
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert ours[-1] < ours[0]


def test_keras_finds_the_same_error_for_the_classifier_with_momentum(nb, sample):
    import tensorflow as tf

    X, T, order = hundred_batches(sample)
    net = nb.Classifier(784, 30, 10, lr=0.1, momentum=0.9, dtype=np.float64, rng=0)
    theirs = keras_losses(
        net, X, T, order, ("relu", "softmax"), lambda t, o: -tf.reduce_mean(tf.reduce_sum(t * tf.math.log(o), axis=1)), 0.9
    )
    np.testing.assert_allclose([net.backprop(X[index], T[index]) for index in order], theirs, atol=1e-5)


# --- what the class promises ---


def test_weights_start_from_n01_or_scaled_to_the_arrows_that_come_in(nb):
    plain, scaled = (nb.ThreeLayerNetwork(784, 200, 10, 0.1, scaled=scaled, rng=0) for scaled in (False, True))
    assert plain.Wyx.shape == (200, 784)
    assert plain.Wzy.shape == (10, 200)
    assert plain.Wyx.dtype == np.float64
    assert plain.Wyx.std() == pytest.approx(1, rel=0.02)
    assert plain.Wyx.mean() == pytest.approx(0, abs=0.02)
    assert scaled.Wyx.std() == pytest.approx(784**-0.5, rel=0.02)
    assert scaled.Wzy.std() == pytest.approx(200**-0.5, rel=0.1)


def test_the_same_generator_gives_the_same_network_and_none_another(nb):
    assert np.array_equal(nb.ThreeLayerNetwork(3, 4, 1, 1.0, rng=5).Wyx, nb.ThreeLayerNetwork(3, 4, 1, 1.0, rng=5).Wyx)
    assert not np.array_equal(nb.ThreeLayerNetwork(3, 4, 1, 1.0).Wyx, nb.ThreeLayerNetwork(3, 4, 1, 1.0).Wyx)


def test_the_sigmoid_neither_overflows_nor_leaves_its_range(nb):
    assert nb.sigmoid(0.0) == 0.5
    ends = nb.sigmoid(np.array([-1e300, -np.inf, np.inf, 1e300]))
    assert np.all((0 <= ends) & (ends <= 1))
    assert ends[0] == pytest.approx(1e-15)
    assert nb.derivative_sigmoid(nb.sigmoid(0.0)) == 0.25


def test_feedforward_answers_with_one_column_for_each_row(nb):
    net = nb.ThreeLayerNetwork(3, 4, 2, 0.1, rng=0)
    assert net.feedforward([1, 2, 3]).shape == (2, 1)
    assert net.feedforward(np.ones((5, 3))).shape == (2, 5)
    np.testing.assert_allclose(net.feedforward([[1, 2, 3], [4, 5, 6]])[:, :1], net.feedforward([1, 2, 3]))


def test_backprop_tells_the_error_before_its_step_and_leaves_its_arguments_alone(nb):
    net = nb.ThreeLayerNetwork(2, 3, 1, 0.5, rng=0)
    X, T = np.array([0.3, 0.7]), np.array([1.0])
    before = 0.5 * float((net.feedforward(X)[0, 0] - 1) ** 2)
    assert net.backprop(X, T) == pytest.approx(before)
    assert net.error(net.feedforward(X), np.array([[1.0]])) < before
    assert np.array_equal(X, [0.3, 0.7])


@pytest.mark.parametrize("seed", range(5))
def test_it_learns_xor_from_every_start_tried(nb, seed):
    net = nb.ThreeLayerNetwork(3, 4, 1, lr=1.0, rng=seed)
    for _ in range(2000):
        for x, t in zip(*XOR, strict=True):
            net.backprop(x, t)
    assert np.all(np.abs(net.feedforward(XOR[0]) - XOR[1].T) < 0.1)


@pytest.mark.parametrize("kind", ["ThreeLayerNetwork", "Classifier"])
def test_a_small_one_learns_the_sample_of_mnist(nb, sample, kind):
    options = {"scaled": True, "dtype": np.float32} if kind == "ThreeLayerNetwork" else {"momentum": 0.9}
    net = getattr(nb, kind)(784, 50, 10, 2.0 if kind == "ThreeLayerNetwork" else 0.1, rng=0, **options)
    errors, held = nb.train(
        net, sample.x_train, sample.y_train, epochs=8, batch_size=32, rng=0, falling=True, held=(sample.x_test, sample.y_test)
    )
    assert errors[-1] < 0.5 * errors[0]
    assert held[-1] > 0.85


def test_predict_takes_images_and_gives_probabilities(nb, sample):
    net = nb.Classifier(784, 30, 10, 0.1, rng=0)
    p = net.predict(sample.x_test[:7])
    assert p.shape == (7, 10)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert np.all(p >= 0)


def test_the_softmax_bears_great_numbers(nb):
    p = nb.softmax(np.array([[1000.0, -1000.0], [999.0, 0.0]]))
    np.testing.assert_allclose(p.sum(axis=0), 1)
    assert p[0, 0] == pytest.approx(1 / (1 + np.exp(-1)))


def test_dropout_is_for_training_only_and_keeps_the_mean(nb):
    net = nb.Classifier(20, 2000, 3, lr=1e-9, dropout=0.25, dtype=np.float64, rng=0)
    net.Wzy[:] = np.abs(net.Wzy)
    x, t = np.abs(np.random.default_rng(0).normal(size=(1, 20))), [[1.0, 0.0, 0.0]]
    assert np.array_equal(net.feedforward(x), net.feedforward(x))
    expected = net.error(net.feedforward(x), np.array(t).T)
    assert np.mean([net.backprop(x, t) for _ in range(200)]) == pytest.approx(expected, rel=0.1)


def test_each_mini_batch_is_moved_by_a_pixel_at_most_and_by_none_unless_asked(nb):
    image = np.zeros((4, 28, 28), np.uint8)
    image[:, 14, 14] = 255
    shown = []

    class Watching(nb.Classifier):
        def backprop(self, Xrow, Trow):
            shown.append(Xrow.reshape(-1, 28, 28))
            return 0.0

    for shift, places in ((0, {(14, 14)}), (1, {(row, column) for row in (13, 14, 15) for column in (13, 14, 15)})):
        shown.clear()
        nb.train(Watching(784, 2, 10, 0.1, rng=0), image, np.arange(4), epochs=200, batch_size=4, shift=shift, rng=0)
        assert {tuple(map(int, np.argwhere(batch[0])[0])) for batch in shown} == places
        assert all(np.array_equal(batch[0], other) for batch in shown for other in batch)
        assert max(batch.max() for batch in shown) == 1


def test_the_learning_rate_falls_along_half_a_cosine_and_is_put_back(nb):
    rates = []

    class Watching(nb.Classifier):
        def backprop(self, Xrow, Trow):
            rates.append(float(self.lr))
            return 0.0

    net = Watching(784, 2, 10, 0.4, rng=0)
    nb.train(net, np.zeros((10, 28, 28), np.uint8), np.arange(10), epochs=5, batch_size=5, falling=True, rng=0)
    np.testing.assert_allclose(rates, 0.2 * (1 + np.cos(np.pi * np.arange(10) / 10)))
    assert net.lr == 0.4


# --- bad input ---


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
    with pytest.raises(ValueError, match=f"expected {name} to be .* got "):
        nb.ThreeLayerNetwork(*arguments)


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
    net = nb.ThreeLayerNetwork(3, 4, 2, 0.1, rng=0)
    before = net.Wyx.copy()
    with pytest.raises(ValueError, match=f"expected idata .*{message}"):
        net.feedforward(rows)
    with pytest.raises(ValueError, match=f"expected Xrow .*{message}"):
        net.backprop(rows, [0, 1])
    assert np.array_equal(net.Wyx, before)


def test_targets_of_another_length_or_number_are_refused(nb):
    net = nb.ThreeLayerNetwork(3, 4, 2, 0.1, rng=0)
    with pytest.raises(ValueError, match=r"expected Trow of shape \(2,\) or \(n, 2\), got shape \(3,\)"):
        net.backprop([1, 2, 3], [0, 1, 0])
    with pytest.raises(ValueError, match="expected 1 rows in Trow, as in Xrow, got 2"):
        net.backprop([1, 2, 3], [[0, 1], [1, 0]])


def test_predict_refuses_what_is_no_image(nb):
    net = nb.Classifier(784, 5, 10, 0.1, rng=0)
    for images in (np.zeros((28, 28), np.uint8), np.zeros((2, 28, 28)), np.zeros((2, 14, 56), np.uint8)):
        with pytest.raises(ValueError, match=r"expected uint8 images of shape \(n, 28, 28\), got "):
            net.predict(images)


@pytest.mark.parametrize("option", ["momentum", "dropout"])
@pytest.mark.parametrize("value", [-0.1, 1.0, "much"])
def test_momentum_and_dropout_lie_from_0_up_to_but_not_1(nb, option, value):
    with pytest.raises(ValueError, match=f"expected {option} to be in"):
        nb.Classifier(3, 4, 2, 0.1, **{option: value})


def test_training_that_diverges_says_so(nb, sample):
    net = nb.Classifier(784, 50, 10, lr=1e30, momentum=0.9, rng=0)
    with pytest.raises(FloatingPointError, match="training diverged.*smaller learning rate"):
        nb.train(net, sample.x_train[:256], sample.y_train[:256], epochs=5, batch_size=32, rng=0)
    net = nb.ThreeLayerNetwork(3, 4, 1, lr=1e308, rng=0)
    with pytest.raises(FloatingPointError, match="training diverged"):
        for _ in range(50):
            net.backprop(*XOR)
