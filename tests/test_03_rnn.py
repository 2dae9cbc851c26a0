"""Notebook 03: the recurrence, its gradient, its training, its landscape, and what the networks do then."""

import numpy as np
import pytest

PLACES = [(0.3, -0.8, 0.2), (1.2, 0.9, -0.5), (-1.0, 1.1, 0.0), (0.9, 1.0, 0.01)]
each_place = pytest.mark.parametrize("place", PLACES)


@pytest.fixture(scope="module")
def nb(definitions):
    return definitions("03_simple_rnn_cumulative_sum")


@pytest.fixture(scope="module")
def series():
    x = np.random.default_rng(0).normal(size=(16, 12)).astype("float32").astype(float)  # Keras reads float32
    return x, x.cumsum(axis=1)


def in_keras(nb, W, U, b, dtype="float64"):
    network = nb.build(dtype)
    nb.set_numbers(network, W, U, b)
    return network


# --- the recurrence and its gradient ---


def test_what_is_not_a_series_is_refused_with_a_clear_error(nb):
    network, sums = in_keras(nb, 1, 1, 0), np.ones((2, 3))
    for refuse in (
        lambda x: nb.rnn(x, 1, 1, 0),
        lambda x: nb.bptt(x, sums, 1, 1, 0),
        lambda y: nb.bptt(sums, y, 1, 1, 0),
        lambda x: nb.running_sums(network, x),
    ):
        with pytest.raises(ValueError, match=r"expected . of shape \(series, steps\), got shape \(3,\)"):
            refuse([1, 2, 3])
        with pytest.raises(ValueError, match="expected . to hold finite numbers, got nan at series 1, step 1"):
            refuse([[1, 2], [3, np.nan]])
    with pytest.raises(ValueError, match=r"expected as many sums as numbers, \(2, 4\), got \(2, 3\)"):
        nb.bptt(np.zeros((2, 4)), sums, 1, 1, 0)


def test_the_sums_to_learn_are_right_to_the_last_digit_of_float32(nb):
    x, y = nb.make_series(100, 10, np.random.default_rng(2))
    assert x.shape == y.shape == (100, 10, 1) and x.dtype == y.dtype == np.float32
    assert np.array_equal(y, np.cumsum(x.astype(float), axis=1).astype("float32"))


def measured(nb, series, place):
    return nb.central_differences(lambda at: nb.bptt(*series, *at)[0], np.array(place))


@each_place
def test_loss_and_gradient_agree_with_tensorflow_and_with_differences(nb, series, place):
    network = in_keras(nb, *place)
    h = nb.running_sums(network, series[0])
    assert np.allclose(nb.rnn(series[0], *place), h, rtol=0, atol=1e-12)
    tensors = nb.automatic_gradient(network, series[0][..., None], series[1][..., None])
    automatic = np.array([tensor.numpy().item() for tensor in tensors])
    loss, gradient = nb.bptt(*series, *place)
    assert nb.distance(gradient, measured(nb, series, place)) < 1e-7
    assert nb.distance(gradient, automatic) < 1e-12
    assert loss == pytest.approx(np.mean((h - series[1]) ** 2))


@each_place
def test_a_gradient_without_the_delta_of_the_next_step_is_found_out(nb, series, place):
    h = nb.rnn(series[0], *place)
    delta = 2 * (h - series[1]) / h.size
    before = np.pad(h, ((0, 0), (1, 0)))[:, :-1]
    forgetful = np.array([(delta * series[0]).sum(), (delta * before).sum(), delta.sum()])
    assert nb.distance(forgetful, measured(nb, series, place)) > 0.01


# --- training ---


def test_training_in_numpy_and_in_keras_takes_the_same_path(nb):
    """Keras corrects the bias with a float32 of β₁ and β₂, unless they are float64: then losses would differ by 5e-5."""
    x, y = nb.make_series(51_000, 10, np.random.default_rng(1))  # the last mini-batch of an epoch is smaller
    start = (-0.6, -1, 0.1)
    watch = nb.train(in_keras(nb, *start), x, y, "test", rate=0.05, epochs=5, shuffle=False)
    losses, path = nb.train_numpy(x[..., 0], y[..., 0], start, nb.Adam(), epochs=5, rate=0.05)
    assert np.allclose(losses, watch.losses, rtol=1e-5)
    assert np.abs(path[::100] - np.array(watch.numbers)).max() < 1e-7


def test_gradient_descent_steps_against_the_gradient(nb):
    assert np.allclose(nb.gradient_descent(np.array([2.0, -4.0]), 0.5), [-1, 2])


# --- the landscape ---


def test_the_expected_loss_is_that_of_many_series(nb):
    x, y = (part[..., 0] for part in nb.make_series(50_000, 10, np.random.default_rng(3)))
    W, U = np.meshgrid([-1, 0.5, 1], [-0.7, 0.9, 1])
    drawn = [[nb.bptt(x, y, *place, 0)[0] for place in zip(*row)] for row in zip(W, U)]
    assert np.allclose(nb.expected_loss(W, U, 10), drawn, rtol=0.02)
    assert nb.expected_loss(1, 1, 10) == 0


def test_the_expected_gradient_and_hessian_agree_with_differences(nb):
    places = np.array([(0.5, 0.5), (1.2, 0.9), (0.9, 1.1), (2.0, 0.0)])
    for place, gradient in zip(places, nb.expected_gradient(*places.T, 10).T):
        differences = nb.central_differences(lambda at: nb.expected_loss(*at, 10), place)
        assert nb.distance(gradient, differences) < 1e-7
    curvature = nb.central_differences(lambda at: nb.expected_gradient(*at, 10), np.ones(2))
    assert np.allclose(nb.hessian(10), curvature, rtol=1e-6)


# --- the finished network ---


def test_the_error_is_relative_to_the_largest_sum_so_far(nb):
    x = np.array([[1.0, 3.0, -4.0], [2.0, -1.0, 1.0]])
    assert np.allclose(nb.relative_error(np.cumsum(x, axis=1) + 1, x), [0.75, 0.375, 0.375])
    large = np.array([[2**24, 1]], "float32")  # its sum has one digit more than float32 keeps
    assert nb.relative_error(np.cumsum(large, axis=1, dtype=float), large).tolist() == [0, 0]


def test_a_stream_sums_until_reset_and_ignores_broken_numbers(nb):
    network = in_keras(nb, 0.7, 0.95, 0.1)
    numbers = np.random.default_rng(7).normal(size=200).astype("float32")
    stream = nb.Stream(network)
    for broken in (float("nan"), "3"):  # the first time anew, the second after a reset
        one_by_one = [stream(number) for number in numbers[:100]]
        with pytest.raises(ValueError, match="expected the number to"):
            stream(broken)
        one_by_one += [stream(number) for number in numbers[100:]]
        assert np.allclose(one_by_one, nb.running_sums(network, [numbers])[0], rtol=0, atol=1e-12)
        stream.reset()


# --- the trip meter ---


def test_a_trip_starts_anew_where_the_button_was_pressed(nb):
    x, y = nb.make_trips(50, 30, np.random.default_rng(5))
    km, pressed, trip = x[..., 0], x[..., 1] == 1, y[..., 0]
    assert x.dtype == y.dtype == np.float32 and 0.05 < pressed.mean() < 0.15
    assert np.array_equal(trip[pressed], km[pressed]) and np.array_equal(trip[:, 0], km[:, 0])
    assert np.allclose(np.diff(trip)[~pressed[:, 1:]], km[:, 1:][~pressed[:, 1:]], atol=1e-5)


def test_six_weights_found_by_thinking_make_the_gated_cell_a_trip_meter(nb):
    x, y = nb.make_trips(10, 200, np.random.default_rng(6))
    layer = nb.layers.RNN(nb.GatedCell(), return_sequences=True)
    meter = nb.keras.Sequential([nb.keras.Input((None, 2)), layer])
    meter.set_weights([np.array(part) for part in ([[1], [0]], [[0], [-1]], [0], [1])])
    assert meter.count_params() == 6 and np.abs(meter.predict(x, verbose=0) - y).max() < 1e-4
    assert nb.typical_error(meter, x, y + 3) == pytest.approx(3, rel=1e-4)
    meter.set_weights([np.array(part) for part in ([[1], [2]], [[3], [4]], [5], [6])])
    one = meter.predict(np.array([[[0.1, 0.2], [0.3, 0.4]]]), verbose=0).ravel()
    assert np.allclose(one, [5.5, (0.3 + 0.8 + 5) + (0.9 + 1.6 + 6) * 5.5])


def test_a_meter_starts_from_its_seed_alone_and_trains_at_its_rate(nb, monkeypatch):
    x, y = nb.make_trips(64, 5, np.random.default_rng(8))
    trained = set()

    def train(network, inputs, goal, kind, rate=0.1, **options):
        assert inputs is x and goal is y and rate == nb.KINDS[kind][0]
        trained.add(kind)

    monkeypatch.setattr(nb, "train", train)
    for kind in nb.KINDS:
        first, again, other = (nb.train_meter(kind, x, y, seed).predict(x, verbose=0) for seed in (1, 1, 2))
        assert first.shape == y.shape and np.array_equal(first, again) and np.abs(first - other).max() > 1e-3
    assert trained == set(nb.KINDS)
