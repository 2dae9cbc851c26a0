"""Notebook 03: the recurrence, its gradient, its landscape, and its far reach."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def nb(definitions):
    return definitions("03_simple_rnn_cumulative_sum")


@pytest.fixture(scope="module")
def series():
    x = np.random.default_rng(0).normal(size=(16, 12)).astype("float32").astype(float)  # Keras reads float32
    return x, x.cumsum(axis=1)


@pytest.fixture(scope="module")
def exact(nb):
    """The solution W = 1, U = 1, b = 0 in Keras, in float64."""
    network = nb.build("float64")
    nb.set_numbers(network, 1, 1, 0)
    return network


def apart(a, b):
    return np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b))


# --- the recurrence ---


def test_one_one_nought_is_the_running_sum(nb, series):
    x, sums = series
    assert np.allclose(nb.rnn(x, 1, 1, 0), sums, rtol=0, atol=1e-12)


@pytest.mark.parametrize("numbers", [(2, 0.5, 1), (-1.3, -0.9, 0.2), (0.7, 1.1, -3)])
def test_the_loop_equals_its_closed_form(nb, series, numbers):
    x, _ = series
    W, U, b = numbers
    closed = [sum(U ** (t - k) * (W * x[:, k] + b) for k in range(t + 1)) for t in range(x.shape[1])]
    assert np.allclose(nb.rnn(x, W, U, b), np.array(closed).T)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_and_keras_are_the_same_machine(nb, series, dtype):
    x, _ = series
    network = nb.build(dtype)
    nb.set_numbers(network, 2, 0.5, 1)
    by_hand = nb.rnn(x.astype("float32"), 2, 0.5, 1)
    assert np.abs(nb.running_sums(network, x) - by_hand).max() < 1e-6 * np.abs(by_hand).max()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ([1, 2, 3], r"expected shape \(series, steps\), got \(3,\)"),
        (np.zeros((2, 3, 1)), r"expected shape \(series, steps\), got \(2, 3, 1\)"),
        (np.zeros((0, 4)), "at least one series"),
        (np.zeros((4, 0)), "at least one step"),
        ([[1, 2], [3, np.nan]], "expected finite numbers, got nan in series 1 at step 1"),
        ([[np.inf, 2]], "got inf in series 0 at step 0"),
        ([["1", "2"]], "expected numbers"),
        ([[1j, 2]], "expected numbers"),
        ([[None, 2]], "expected numbers"),
    ],
)
def test_what_cannot_be_a_series_is_refused_with_a_clear_error(nb, exact, broken, message):
    for refuse in (
        nb.as_series,
        lambda x: nb.rnn(x, 1, 1, 0),
        lambda x: nb.bptt(x, x, 1, 1, 0),
        lambda x: nb.running_sums(exact, x),
    ):
        with pytest.raises(ValueError, match=message):
            refuse(broken)


def test_sums_that_do_not_belong_to_the_numbers_are_refused(nb):
    with pytest.raises(ValueError, match="expected as many sums as numbers"):
        nb.bptt(np.zeros((2, 3)), np.zeros((2, 4)), 1, 1, 0)


# --- its gradient ---

PLACES = [(0.3, -0.8, 0.2), (1.2, 0.9, -0.5), (-1.0, 1.1, 0.0), (0.9, 1.0, 0.01)]


@pytest.mark.parametrize("numbers", PLACES)
def test_backpropagation_through_time_agrees_with_central_differences(nb, series, numbers):
    x, sums = series
    measured = nb.central_differences(lambda at: nb.bptt(x, sums, *at)[0], np.array(numbers))
    assert apart(nb.bptt(x, sums, *numbers)[1], measured) < 1e-7


@pytest.mark.parametrize("numbers", PLACES)
def test_a_gradient_that_forgets_what_comes_back_from_the_next_step_is_found_out(nb, series, numbers):
    x, sums = series
    h = nb.rnn(x, *numbers)
    e = 2 * (h - sums) / h.size
    before = np.concatenate([np.zeros((len(h), 1)), h[:, :-1]], axis=1)
    forgetful = np.array([(e * x).sum(), (e * before).sum(), e.sum()])
    measured = nb.central_differences(lambda at: nb.bptt(x, sums, *at)[0], np.array(numbers))
    assert apart(forgetful, measured) > 0.01


@pytest.mark.parametrize("numbers", PLACES)
def test_backpropagation_through_time_agrees_with_tensorflow(nb, series, numbers):
    x, sums = series
    network = nb.build("float64")
    nb.set_numbers(network, *numbers)
    with nb.tf.GradientTape() as tape:
        loss = nb.tf.reduce_mean((network(x[..., None]) - sums[..., None]) ** 2)
    automatic = np.array([g.numpy().item() for g in tape.gradient(loss, network.trainable_weights)])
    mine, gradient = nb.bptt(x, sums, *numbers)
    assert np.isclose(mine, loss.numpy()) and apart(gradient, automatic) < 1e-12


def test_at_the_solution_loss_and_gradient_are_nought(nb, series):
    x, sums = series
    loss, gradient = nb.bptt(x, sums, 1, 1, 0)
    assert loss < 1e-28 and np.abs(gradient).max() < 1e-12


# --- training ---


def test_training_in_numpy_finds_the_three_numbers_from_far_away(nb):
    x, y = nb.make_series(5120, 10, np.random.default_rng(0))
    losses, path = nb.train_numpy(x[..., 0], y[..., 0], (-1, -1, 0), epochs=60, rate=0.1)
    assert np.abs(path[-1] - [1, 1, 0]).max() < 1e-6 and losses[-1] < 1e-11


def test_a_number_held_fixed_does_not_move(nb):
    x, y = nb.make_series(512, 10, np.random.default_rng(0))
    _, path = nb.train_numpy(x[..., 0], y[..., 0], (0.5, 0.5, 0), epochs=5, rate=0.1, free=(1, 1, 0))
    assert np.all(path[:, 2] == 0) and np.all(path[-1, :2] != 0.5)


def test_numpy_and_keras_go_the_same_way_from_the_same_start_on_the_same_batches(nb):
    x, y = nb.make_series(51_200, 10, np.random.default_rng(1))
    network = nb.build("float64")
    nb.set_numbers(network, -0.6, -1, 0.1)
    watch = nb.train(network, x, y, "test", rate=0.05, epochs=5, shuffle=False)
    losses, path = nb.train_numpy(x[..., 0], y[..., 0], (-0.6, -1, 0.1), epochs=5, rate=0.05)
    assert np.allclose(losses, watch.losses, rtol=1e-3)
    assert np.abs(path[::100] - np.array(watch.numbers)).max() < 1e-5


def test_running_sums_of_the_series_are_right_to_the_last_digit_of_float32(nb):
    x, y = nb.make_series(100, 10, np.random.default_rng(2))
    assert x.shape == y.shape == (100, 10, 1) and x.dtype == y.dtype == np.float32
    assert np.array_equal(y, np.cumsum(x.astype(float), axis=1).astype("float32"))


# --- the landscape ---


@pytest.mark.parametrize(("W", "U"), [(0.5, 0.5), (1.2, 0.9), (0.9, 1.1), (-1, -0.7)])
def test_the_closed_form_of_the_loss_is_that_of_many_series(nb, W, U):
    x, y = nb.make_series(50_000, 10, np.random.default_rng(3))
    drawn = nb.bptt(x[..., 0], y[..., 0], W, U, 0)[0]
    assert nb.expected_loss(W, U, 10) == pytest.approx(drawn, rel=0.02)


def test_the_closed_form_takes_whole_maps_and_is_nought_only_at_the_solution(nb):
    W, U = np.meshgrid([0.5, 1, 1.5], [0.5, 1, 1.5])
    loss = nb.expected_loss(W, U, 10)
    assert loss.shape == (3, 3) and loss[1, 1] == 0 and (loss > 0).sum() == 8
    assert loss[0, 2] == pytest.approx(nb.expected_loss(1.5, 0.5, 10))


# --- far beyond ---


@pytest.mark.parametrize("scale", [1, -1, 1e6])
def test_an_error_in_u_grows_as_the_theory_says(nb, scale):
    x = np.full((1, 2000), scale, "float32")
    for delta in (1e-7, -3e-8):
        error = nb.relative_error(nb.rnn(x, 1, 1 + delta, 0), x)
        for n in (100, 1000, 2000):
            assert error[n - 1] == pytest.approx(abs(delta) * (n - 1) / 2, rel=1e-3)


def test_in_float32_only_exactly_one_is_near_enough_for_a_thousand_steps(nb):
    x = np.random.default_rng(4).random((3, 1000)).astype("float32")
    errors = {}
    for side in (0, 1, 2):
        network = nb.build("float32")
        nb.set_numbers(network, 1, np.nextafter(np.float32(1), np.float32(side)), 0)
        errors[side] = nb.relative_error(nb.running_sums(network, x), x)[-1]
    assert errors[1] < 1e-5 < min(errors[0], errors[2])


# --- the trip meter ---


def test_trips_start_anew_where_the_button_was_pressed(nb):
    x, y = nb.make_trips(50, 30, np.random.default_rng(5))
    km, button, trip = x[..., 0], x[..., 1] == 1, y[..., 0]
    assert np.array_equal(trip[button], km[button]) and np.array_equal(trip[:, 0], km[:, 0])
    later = ~button[:, 1:]
    assert np.allclose((trip[:, 1:] - trip[:, :-1])[later], km[:, 1:][later], atol=1e-5)


def test_six_numbers_found_by_thinking_make_the_gated_cell_a_trip_meter(nb):
    x, y = nb.make_trips(10, 200, np.random.default_rng(6))
    layer = nb.layers.RNN(nb.GatedCell(dtype="float64"), return_sequences=True, dtype="float64")
    meter = nb.keras.Sequential([nb.keras.Input((None, 2)), layer])
    meter.set_weights([np.array([[1.0], [0.0]]), np.array([[0.0], [-1.0]]), np.zeros(1), np.ones(1)])
    assert meter.count_params() == 6
    assert np.abs(meter.predict(x, verbose=0) - y).max() < 1e-4


# --- streaming ---


def test_one_number_at_a_time_gives_what_the_whole_series_gives(nb):
    network = nb.build("float64")
    nb.set_numbers(network, 0.7, 0.95, 0.1)
    numbers = np.random.default_rng(7).normal(size=200).astype("float32")
    stream = nb.Stream(network)
    for _ in range(2):  # the second time after a reset
        one_by_one = [stream(number) for number in numbers]
        assert np.allclose(one_by_one, nb.running_sums(network, numbers[None])[0], rtol=0, atol=1e-12)
        stream.reset()


def test_a_stream_that_was_not_reset_goes_on_and_a_broken_number_does_not_spoil_it(nb, exact):
    stream = nb.Stream(exact)
    assert stream(2) == 2
    for broken in (float("nan"), float("inf"), "3", None):
        with pytest.raises(ValueError, match="expected"):
            stream(broken)
    assert stream(3) == 5
