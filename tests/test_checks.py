"""Each check returns what is right, converted, and refuses the rest in words that say what was expected and what came."""

from functools import partial

import numpy as np
import pytest

from helpers import checks

whole = partial(checks.check_whole_number, "epochs")
number = partial(checks.check_number, "lr")
padding = partial(checks.check_choice, "padding", choices=("valid", "same"))
rows = partial(checks.check_rows, "x", width=3)
series, images, labels = checks.check_series, checks.check_images, checks.check_labels
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("check", "wanted", "right", "kind", "wrong"),
    [
        (whole, "a whole number of at least 1", [1, np.int64(3)], int, [0, 2.0, "3", None, np.bool_(True), True, NAN, 1j]),
        (partial(whole, least=0, most=3), "a whole number from 0 to 3", [0, 3], int, [-1, 4]),
        (number, "a finite number", [-1, np.float32(0.5)], float, [NAN, INF, -INF, "0.1", None, np.bool_(True), True, 1j]),
        (partial(number, above=0), "a finite number above 0", [0.001, 1], float, [0, -1.0]),
        (partial(number, least=0, below=1), "a finite number of at least 0 and below 1", [0, 0.9], float, [-0.1, 1, INF]),
        (padding, '"valid" or "same"', ["same", "valid"], str, ["full", "", None, np.array(["same"])]),
    ],
)
def test_single_values_are_returned_converted_or_refused(check, wanted, right, kind, wrong):
    for value in right:
        assert check(value) == value and type(check(value)) is kind
    for value in wrong:
        with pytest.raises(ValueError) as refusal:
            check(value)
        assert str(refusal.value) == f"expected {check.args[0]} to be {wanted}, got {value!r}"


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (rows, np.ones((2, 3), np.float32)),
        (images, np.zeros((2, 28, 28), np.uint8)),
        (partial(labels, count=3), np.array([0, 9, 3], np.uint8)),
    ],
)
def test_arrays_that_are_right_stay_as_they_are(check, value):
    assert check(value) is value


def test_lists_become_arrays():
    assert rows([1, 2, 3], count=1).tolist() == [[1, 2, 3]]
    assert labels([0, 9]).tolist() == [0, 9]
    for given in ([[1, 2, 3]], np.array([[1, 2, 3]], np.float32)):
        assert series(given).dtype == np.float64 and series(given).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("values", [["a", "b", "c"], [None, 1, 2], [1j, 2, 3], [[1, 2, 3], [1, 2]]])
@pytest.mark.parametrize("check", [rows, series])
def test_what_holds_no_numbers_is_refused(check, values):
    with pytest.raises(ValueError, match="expected x to hold numbers.*, got "):
        check(values)


@pytest.mark.parametrize(
    ("check", "wanted", "wrong"),
    [
        (rows, "x of shape (3,) or (n, 3)", [np.ones(2), np.ones((4, 2)), np.ones((2, 3, 3)), np.ones((0, 3)), np.ones(())]),
        (series, "x of shape (series, steps)", [np.ones(3), np.ones((2, 3, 1))]),
        (series, "x to be at least one series of at least one step", [np.ones((0, 4)), np.ones((4, 0))]),
        (
            images,
            "uint8 images of shape (n, 28, 28)",
            [np.zeros(shape, np.uint8) for shape in ((28, 28), (2, 784), (2, 28, 28, 1), (2, 14, 56), (0, 28, 28))]
            + [np.zeros((2, 28, 28))],
        ),
        (labels, "labels to be whole numbers of shape (n,)", [np.zeros(2), np.zeros((3, 10), int), np.zeros(0, int)]),
    ],
)
def test_arrays_of_another_type_or_shape_are_refused(check, wanted, wrong):
    hint = ": give one series as [x], Keras's as x[..., 0]" if wanted.endswith("(series, steps)") else ""
    for array in wrong:
        kind = f"{array.dtype} of " if check in (images, labels) else ""
        with pytest.raises(ValueError) as refusal:
            check(array)
        assert str(refusal.value) == f"expected {wanted}, got {kind}shape {array.shape}{hint}"


@pytest.mark.parametrize(
    ("check", "wrong", "message"),
    [
        (partial(rows, count=2), [1, 2, 3], "x to have 2 rows, one for each sample, got 1"),
        (rows, [[1, 2, 3], [np.inf, 2, np.nan]], "x to hold finite numbers, got inf at row 1, column 0"),
        (series, [[1, 2], [3, np.nan]], "x to hold finite numbers, got nan at series 1, step 1"),
        (images, None, "uint8 images of shape (n, 28, 28), got object of shape ()"),
        (labels, [-1, 1], "labels from 0 to 9, got -1 to 1"),
        (labels, [0, 10], "labels from 0 to 9, got 0 to 10"),
        (partial(labels, count=4), [0, 9, 3], "4 labels, one for each image, got 3"),
    ],
)
def test_wrong_values_in_arrays_are_refused(check, wrong, message):
    with pytest.raises(ValueError) as refusal:
        check(wrong)
    assert str(refusal.value) == f"expected {message}"


def test_a_loss_that_is_not_finite_ends_the_training_with_advice():
    assert type(checks.check_loss(np.float32(0.5), 0.1)) is float
    for loss in (np.nan, np.inf):
        with pytest.raises(FloatingPointError, match="training diverged.*below 0.1"):
            checks.check_loss(loss, 0.1)
