"""Each check returns what is right, converted, and refuses the rest in words that say what was expected and what came."""

from functools import partial

import numpy as np
import pytest

from helpers import checks

whole = partial(checks.check_whole_number, "epochs")
number = partial(checks.check_number, "lr")
padding = partial(checks.check_choice, "padding", choices=("valid", "same"))
numbers = partial(checks.check_numbers, "x")
finite = partial(checks.check_finite, "x")
rows = partial(checks.check_rows, "x", width=3)
series = partial(checks.check_series, name="x")
images, labels = checks.check_images, checks.check_labels
STEPS = ("series", "step")


@pytest.mark.parametrize(
    ("check", "values", "kind"),
    [
        (whole, [1, 7, np.int64(3), np.uint8(1)], int),
        (partial(whole, least=0, most=3), [0, 3], int),
        (number, [0.1, -1, 1, np.float32(0.5), np.int64(2)], float),
        (partial(number, least=0, below=1), [0, 0.999], float),
        (partial(number, above=0), [0.001, 1], float),
        (padding, ["same", "valid"], str),
    ],
)
def test_single_values_are_returned_converted(check, values, kind):
    for value in values:
        assert check(value) == value and type(check(value)) is kind


NAN, INF = float("nan"), float("inf")
NO_WHOLE = [0, -1, 2.0, 2.5, "3", None, True, np.bool_(True), NAN, [1], 1j]


@pytest.mark.parametrize(
    ("check", "wanted", "values"),
    [
        (whole, "epochs to be a whole number of at least 1", NO_WHOLE),
        (partial(whole, least=0, most=3), "epochs to be a whole number from 0 to 3", [-1, 4]),
        (number, "lr to be a finite number", [NAN, INF, -INF, "0.1", None, True, np.bool_(True), 1j, [0.1]]),
        (partial(number, above=0), "lr to be a finite number above 0", [0, -1.0, NAN, INF]),
        (partial(number, least=0, below=1), "lr to be a finite number of at least 0 and below 1", [-0.1, 1, 2]),
        (padding, 'padding to be "valid" or "same"', ["full", "", None, 1, ["same"]]),
    ],
)
def test_single_values_that_are_wrong_are_refused(check, wanted, values):
    for value in values:
        with pytest.raises(ValueError) as refusal:
            check(value)
        assert str(refusal.value) == f"expected {wanted}, got {value!r}"


@pytest.mark.parametrize(
    ("check", "value"),
    [
        *((check, np.arange(6).reshape(2, 3)) for check in (numbers, finite, rows)),
        *((check, value) for check in (numbers, finite) for value in (np.ones(3, np.float32), np.array([True]), np.array(2.5))),
        (images, np.zeros((2, 28, 28), np.uint8)),
        (partial(labels, count=3), np.array([0, 9, 3], np.uint8)),
    ],
)
def test_arrays_that_are_right_stay_as_they_are(check, value):
    assert check(value) is value


def test_lists_become_arrays():
    assert np.isnan(numbers([1, np.nan])[1])
    assert rows([1, 2, 3], count=1).tolist() == [[1, 2, 3]]
    assert labels([0, 9]).tolist() == [0, 9]
    for given in ([[1, 2, 3]], np.array([[1, 2, 3]], np.float32)):
        assert series(given).dtype == np.float64 and series(given).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("values", [["a", "b", "c"], [None, 1, 2], [1j, 2, 3], [[1, 2, 3], [1, 2]]])
@pytest.mark.parametrize("check", [numbers, finite, rows, series])
def test_what_holds_no_numbers_is_refused(check, values):
    with pytest.raises(ValueError, match="expected x to hold numbers.*, got "):
        check(values)


NO_SERIES = "x of shape (series, steps), got shape {}: give one series as [x], Keras's as x[..., 0]"
NO_STEP = "x to be at least one series of at least one step, got shape {}"
NO_LABELS = "labels to be whole numbers of shape (n,), got {} of shape {}"


@pytest.mark.parametrize(
    ("check", "wrong", "message"),
    [
        (partial(finite, axes=STEPS), [[1, 2], [3, np.nan]], "x to hold finite numbers, got nan at series 1, step 1"),
        (finite, [1.0, -np.inf], "x to hold finite numbers, got -inf at index 1"),
        (finite, np.nan, "x to hold finite numbers, got nan at its only place"),
        (partial(finite, axes=("n", "height", "width")), [1, 2, 3], "x of shape (n, height, width), got shape (3,)"),
        (partial(finite, axes=STEPS), np.zeros((2, 3, 1)), "x of shape (series, step), got shape (2, 3, 1)"),
        (finite, np.zeros((0, 2)), "x to hold at least one number, got shape (0, 2)"),
        *(
            (rows, wrong, f"x of shape (3,) or (n, 3), got shape {np.shape(wrong)}")
            for wrong in ([1.0, 2.0], np.ones((4, 2)), np.ones((2, 2, 3)), np.ones((0, 3)), 1.0)
        ),
        (partial(rows, count=2), [1, 2, 3], "x to have 2 rows, one for each sample, got 1"),
        (rows, [[1, 2, 3], [np.inf, 2, 3]], "x to hold finite numbers, got inf at row 1, column 0"),
        (series, [1, 2, 3], NO_SERIES.format((3,))),
        (series, np.zeros((2, 3, 1)), NO_SERIES.format((2, 3, 1))),
        (series, np.zeros((0, 4)), NO_STEP.format((0, 4))),
        (series, np.zeros((4, 0)), NO_STEP.format((4, 0))),
        (series, [[1, 2], [3, np.nan]], "x to hold finite numbers, got nan at series 1, step 1"),
        *(
            (images, wrong, f"uint8 images of shape (n, 28, 28), got {wrong.dtype} of shape {wrong.shape}")
            for shape in ((28, 28), (2, 784), (2, 28, 28, 1), (2, 14, 56), (0, 28, 28))
            for wrong in [np.zeros(shape, np.uint8)]
        ),
        (images, np.zeros((2, 28, 28)), "uint8 images of shape (n, 28, 28), got float64 of shape (2, 28, 28)"),
        (images, None, "uint8 images of shape (n, 28, 28), got object of shape ()"),
        (images, "images", "uint8 images of shape (n, 28, 28), got <U6 of shape ()"),
        (labels, np.array([0.0, 1.0]), NO_LABELS.format("float64", (2,))),
        (labels, np.zeros((3, 10), np.int64), NO_LABELS.format("int64", (3, 10))),
        (labels, np.array([], np.int64), NO_LABELS.format("int64", (0,))),
        (labels, [-1, 1], "labels from 0 to 9, got -1 to 1"),
        (labels, [0, 10], "labels from 0 to 9, got 0 to 10"),
        (partial(labels, count=4), [0, 9, 3], "4 labels, one for each image, got 3"),
    ],
)
def test_arrays_that_are_wrong_are_refused(check, wrong, message):
    with pytest.raises(ValueError) as refusal:
        check(wrong)
    assert str(refusal.value) == f"expected {message}"


def test_a_loss_that_is_not_finite_ends_the_training_with_advice():
    assert checks.check_loss(np.float32(0.5), 0.1) == 0.5
    for loss in (np.nan, np.inf, np.float32("nan")):
        with pytest.raises(FloatingPointError, match="training diverged.*below 0.1"):
            checks.check_loss(loss, 0.1)
