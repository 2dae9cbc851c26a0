"""Notebook 03: the recurrence, its gradient, its training, its landscape, and how far it counts."""

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


# --- the recurrence ---


@each_place
def test_the_loop_equals_its_closed_form(nb, series, place):
    x, (W, U, b) = series[0], place
    closed = [sum(U ** (t - k) * (W * x[:, k] + b) for k in range(t + 1)) for t in range(x.shape[1])]
    assert np.allclose(nb.rnn(x, W, U, b), np.transpose(closed))


def test_one_one_zero_is_the_running_sum(nb, series):
    assert np.allclose(nb.rnn(series[0], 1, 1, 0), series[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-15)])
def test_numpy_and_keras_agree_on_a_series(nb, series, dtype, tolerance):
    ours = nb.rnn(series[0], 2, 0.5, 1)
    theirs = nb.running_sums(in_keras(nb, 2, 0.5, 1, dtype), series[0])
    assert np.abs(ours - theirs).max() < tolerance * np.abs(ours).max()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ([1, 2, 3], r"expected x of shape \(series, steps\), got shape \(3,\)"),
        (np.zeros((2, 3, 1)), r"expected x of shape \(series, steps\), got shape \(2, 3, 1\)"),
        (np.zeros((0, 4)), "at least one series"),
        (np.zeros((4, 0)), "at least one step"),
        ([[1, 2], [3, np.nan]], "expected x to hold finite numbers, got nan at series 1, step 1"),
        ([[np.inf, 2]], "got inf at series 0, step 0"),
        ([["1", "2"]], "expected x to hold numbers"),
        ([[1j, 2]], "expected x to hold numbers"),
        ([[None, 2]], "expected x to hold numbers"),
    ],
)
def test_what_is_not_a_series_is_refused_with_a_clear_error(nb, broken, message):
    network = in_keras(nb, 1, 1, 0)
    for refuse in (
        lambda x: nb.rnn(x, 1, 1, 0),
        lambda x: nb.bptt(x, np.ones((2, 2)), 1, 1, 0),
        lambda x: nb.running_sums(network, x),
    ):
        with pytest.raises(ValueError, match=message):
            refuse(broken)


def test_sums_that_do_not_fit_the_numbers_are_refused(nb):
    with pytest.raises(ValueError, match=r"expected as many sums as numbers, \(2, 3\), got \(2, 4\)"):
        nb.bptt(np.zeros((2, 3)), np.zeros((2, 4)), 1, 1, 0)
    with pytest.raises(ValueError, match="expected y to hold finite numbers, got nan"):
        nb.bptt([[1.0]], [[np.nan]], 1, 1, 0)


def test_the_sums_to_learn_are_right_to_the_last_digit_of_float32(nb):
    x, y = nb.make_series(100, 10, np.random.default_rng(2))
    assert x.shape == y.shape == (100, 10, 1) and x.dtype == y.dtype == np.float32
    assert np.array_equal(y, np.cumsum(x.astype(float), axis=1).astype("float32"))


# --- its gradient ---


def measured(nb, series, place):
    return nb.central_differences(lambda at: nb.bptt(*series, *at)[0], np.array(place))


@each_place
def test_backpropagation_through_time_agrees_with_finite_differences(nb, series, place):
    assert nb.distance(nb.bptt(*series, *place)[1], measured(nb, series, place)) < 1e-7


@each_place
def test_a_gradient_without_the_delta_of_the_next_step_is_found_out(nb, series, place):
    h = nb.rnn(series[0], *place)
    delta = 2 * (h - series[1]) / h.size
    before = np.pad(h, ((0, 0), (1, 0)))[:, :-1]
    forgetful = np.array([(delta * series[0]).sum(), (delta * before).sum(), delta.sum()])
    assert nb.distance(forgetful, measured(nb, series, place)) > 0.01


@each_place
def test_backpropagation_through_time_agrees_with_tensorflow(nb, series, place):
    network = in_keras(nb, *place)
    tensors = nb.automatic_gradient(network, series[0][..., None], series[1][..., None])
    automatic = np.array([tensor.numpy().item() for tensor in tensors])
    loss, gradient = nb.bptt(*series, *place)
    assert nb.distance(gradient, automatic) < 1e-12
    assert loss == pytest.approx(np.mean((nb.running_sums(network, series[0]) - series[1]) ** 2))


def test_at_the_solution_loss_and_gradient_are_zero(nb, series):
    loss, gradient = nb.bptt(*series, 1, 1, 0)
    assert loss < 1e-28 and np.abs(gradient).max() < 1e-12


# --- training ---


def test_training_in_numpy_finds_the_sum_from_far_away(nb):
    x, y = (part[..., 0] for part in nb.make_series(5120, 10, np.random.default_rng(0)))
    losses, path = nb.train_numpy(x, y, (-1, -1, 0), nb.Adam(), epochs=60)
    assert len(losses) == 60 and np.array_equal(path[0], [-1, -1, 0])
    assert np.abs(path[-1] - [1, 1, 0]).max() < 1e-6 and losses[-1] < 1e-11


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


def test_adam_moves_every_number_by_the_rate_at_first(nb):
    """With the bias corrected, m is the gradient and v its square, whatever its size."""
    assert np.allclose(nb.Adam()(np.array([1e-3, -2.0, 5e4]), 0.1), [-0.1, 0.1, -0.1], rtol=1e-2)


# --- the landscape ---


@pytest.mark.parametrize(("W", "U"), [(0.5, 0.5), (1.2, 0.9), (0.9, 1.1), (-1, -0.7)])
def test_the_expected_loss_is_that_of_many_series(nb, W, U):
    x, y = nb.make_series(50_000, 10, np.random.default_rng(3))
    assert nb.expected_loss(W, U, 10) == pytest.approx(nb.bptt(x[..., 0], y[..., 0], W, U, 0)[0], rel=0.02)


def test_the_expected_loss_takes_maps_and_is_zero_only_at_the_solution(nb):
    W, U = np.meshgrid([0.5, 1, 1.5], [0.5, 1, 1.5])
    loss = nb.expected_loss(W, U, 10)
    assert loss.shape == (3, 3) and loss[1, 1] == 0 and (loss > 0).sum() == 8
    assert loss[0, 2] == pytest.approx(nb.expected_loss(1.5, 0.5, 10))


@pytest.mark.parametrize("place", [(0.5, 0.5), (1.2, 0.9), (0.9, 1.1), (2.0, 0.0)])
def test_the_expected_gradient_and_hessian_agree_with_differences(nb, place):
    slope = nb.central_differences(lambda at: nb.expected_loss(*at, 10), np.array(place))
    assert nb.distance(nb.expected_gradient(*place, 10), slope) < 1e-7
    maps = nb.expected_gradient(*np.array([place, place]).T, 10)
    assert np.allclose(maps.T, nb.expected_gradient(*place, 10))
    curvature = nb.central_differences(lambda at: nb.expected_gradient(*at, 10), np.ones(2))
    assert np.allclose(nb.hessian(10), curvature, rtol=1e-6)


# --- how far it counts ---


@pytest.mark.parametrize("scale", [1, -1, 1e6])
def test_an_error_in_u_grows_as_the_theory_says(nb, scale):
    x = np.full((1, 2000), scale, "float32")
    for away in (1e-7, -3e-8):
        error = nb.relative_error(nb.rnn(x, 1, 1 + away, 0), x)
        assert np.allclose(error[[99, 999, 1999]], abs(away) * np.array([99, 999, 1999]) / 2, rtol=1e-3)


def test_the_error_is_relative_to_the_largest_sum_so_far(nb):
    x = np.array([[1.0, 3.0, -4.0], [2.0, -1.0, 1.0]])
    assert np.allclose(nb.relative_error(np.cumsum(x, axis=1) + 1, x), [0.75, 0.375, 0.375])


def test_in_float32_only_exactly_one_is_near_enough(nb):
    x = np.random.default_rng(4).random((3, 1000)).astype("float32")
    factors = np.nextafter(np.float32(1), np.float32([0, 1, 2]))
    below, exact, above = (nb.relative_error(nb.running_sums(in_keras(nb, 1, U, 0, "float32"), x), x)[-1] for U in factors)
    assert exact < 1e-5 < min(below, above)


@pytest.mark.parametrize(("size", "wrong"), [(1e-9, 0.06), (1e-12, 60)])
def test_a_small_b_spoils_sums_of_numbers_as_small_as_itself(nb, size, wrong):
    x = size * np.random.default_rng(5).random((3, 1000))
    error = nb.relative_error(nb.running_sums(in_keras(nb, 1 - 4e-12, 1 - 4e-12, 3e-11), x), x)[-1]
    assert error == pytest.approx(wrong, rel=0.05)


# --- one number at a time ---


def test_one_number_at_a_time_gives_what_the_whole_series_gives(nb):
    network = in_keras(nb, 0.7, 0.95, 0.1)
    numbers = np.random.default_rng(7).normal(size=200).astype("float32")
    stream = nb.Stream(network)
    for _ in range(2):  # the second time after a reset
        one_by_one = [stream(number) for number in numbers]
        assert np.allclose(one_by_one, nb.running_sums(network, [numbers])[0], rtol=0, atol=1e-12)
        stream.reset()


def test_a_stream_goes_on_until_reset_and_ignores_broken_numbers(nb):
    stream = nb.Stream(in_keras(nb, 1, 1, 0))
    assert stream(2) == 2
    for broken in (float("nan"), float("inf"), "3", None):
        with pytest.raises(ValueError, match="expected the number to"):
            stream(broken)
    assert stream(3) == 5


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
    meter.set_weights([np.array(part) for part in ([[1], [2]], [[3], [4]], [5], [6])])
    one = meter.predict(np.array([[[0.1, 0.2], [0.3, 0.4]]]), verbose=0).ravel()
    assert np.allclose(one, [5.5, (0.3 + 0.8 + 5) + (0.9 + 1.6 + 6) * 5.5])


def test_a_meter_starts_from_its_seed_alone_and_is_scored_in_kilometres(nb, monkeypatch):
    x, y = nb.make_trips(64, 5, np.random.default_rng(8))
    monkeypatch.setattr(nb, "train", lambda network, *_, **options: None)
    meters = {(kind, seed): nb.train_meter(kind, x, y, seed) for kind in nb.KINDS for seed in (1, 1, 2)}
    for kind in nb.KINDS:
        again = nb.train_meter(kind, x, y, 1).predict(x, verbose=0)
        assert again.shape == y.shape and np.array_equal(again, meters[kind, 1].predict(x, verbose=0))
        assert np.abs(again - meters[kind, 2].predict(x, verbose=0)).max() > 1e-3
    zero = nb.keras.Sequential([nb.keras.Input((None, 2)), nb.layers.Dense(1, kernel_initializer="zeros")])
    assert nb.typical_error(zero, x, y) == pytest.approx(np.sqrt(np.mean(y.astype(float) ** 2)), rel=1e-6)
