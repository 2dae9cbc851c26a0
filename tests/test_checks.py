"""Each check returns what is right, converted, and refuses the rest in words that say what was expected and what came."""

import numpy as np
import pytest

from helpers import checks


@pytest.mark.parametrize("value", [1, 7, np.int64(3), np.uint8(1)])
def test_whole_numbers_are_returned_as_int(value):
    number = checks.check_whole_number("epochs", value)
    assert number == value and type(number) is int


@pytest.mark.parametrize("value", [0, -1, 2.0, 2.5, "3", None, True, np.bool_(True), float("nan"), [1], 1j])
def test_what_is_no_whole_number_of_at_least_one_is_refused(value):
    with pytest.raises(ValueError) as refusal:
        checks.check_whole_number("epochs", value)
    assert str(refusal.value) == f"expected epochs to be a whole number of at least 1, got {value!r}"


def test_whole_numbers_keep_to_the_limits_that_are_asked_for():
    assert [checks.check_whole_number("size", value, least=0, most=3) for value in (0, 3)] == [0, 3]
    for value in (-1, 4):
        with pytest.raises(ValueError, match=f"expected size to be a whole number from 0 to 3, got {value}"):
            checks.check_whole_number("size", value, least=0, most=3)


@pytest.mark.parametrize("value", [0.1, 1, np.float32(0.5), np.int64(2)])
def test_numbers_are_returned_as_float(value):
    number = checks.check_number("lr", value, above=0)
    assert number == value and type(number) is float


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "0.1", None, True, 1j, [0.1]])
def test_what_is_no_finite_number_above_zero_is_refused(value):
    with pytest.raises(ValueError) as refusal:
        checks.check_number("lr", value, above=0)
    assert str(refusal.value) == f"expected lr to be a finite number above 0, got {value!r}"


def test_each_limit_of_a_number_is_open_or_closed_as_its_name_says():
    for value in (0, 0.999):
        checks.check_number("momentum", value, least=0, below=1)
    checks.check_number("share", 1, above=0, most=1)
    for value, limits in [(1, {"below": 1}), (-0.1, {"least": 0}), (1.1, {"most": 1}), (0, {"above": 0}), (np.inf, {})]:
        with pytest.raises(ValueError, match="expected momentum to be a finite number"):
            checks.check_number("momentum", value, **limits)
    with pytest.raises(ValueError, match="a finite number of at least 0 and below 1, got 2"):
        checks.check_number("momentum", 2, least=0, below=1)


def test_a_choice_is_one_of_those_offered():
    assert checks.check_choice("padding", "same", ("valid", "same")) == "same"
    for value in ("full", "", None, 1, ["same"]):
        with pytest.raises(ValueError) as refusal:
            checks.check_choice("padding", value, ("valid", "same"))
        assert str(refusal.value) == f'expected padding to be "valid" or "same", got {value!r}'


NO_NUMBERS = [["a", "b", "c"], [None, 1, 2], [1j, 2, 3], [[1, 2, 3], [1, 2]]]


@pytest.mark.parametrize("values", NO_NUMBERS)
@pytest.mark.parametrize(
    "check",
    [
        lambda values: checks.check_numbers("x", values),
        lambda values: checks.check_finite("x", values),
        lambda values: checks.check_rows("x", values, 3),
        lambda values: checks.check_series(values),
        lambda values: checks.check_one_hot(values, name="x"),
    ],
    ids=["numbers", "finite", "rows", "series", "one_hot"],
)
def test_what_holds_no_numbers_is_refused(check, values):
    with pytest.raises(ValueError, match="expected x to hold numbers.*, got "):
        check(values)


def test_numbers_and_finite_numbers_stay_as_they_are():
    for values in (np.arange(6).reshape(2, 3), np.ones(3, np.float32), np.array([True, False]), np.array(2.5)):
        for array in (checks.check_numbers("x", values), checks.check_finite("x", values)):
            assert array is values
    assert np.isnan(checks.check_numbers("x", [1, np.nan])[1])


def test_a_number_that_is_not_finite_is_named_with_its_place():
    for values, axes, place in [
        ([[1, 2], [3, np.nan]], ("series", "step"), "got nan at series 1, step 1"),
        ([1.0, -np.inf], None, "got -inf at index 1"),
        (np.nan, None, "got nan at its only place"),
    ]:
        with pytest.raises(ValueError, match=f"expected x to hold finite numbers, {place}"):
            checks.check_finite("x", values, axes)


def test_finite_numbers_must_have_the_named_axes_and_at_least_one_entry():
    with pytest.raises(ValueError, match=r"expected x of shape \(n, height, width\), got shape \(3,\)"):
        checks.check_finite("x", [1, 2, 3], ("n", "height", "width"))
    with pytest.raises(ValueError, match=r"expected x of shape \(series, step\), got shape \(2, 3, 1\)"):
        checks.check_finite("x", np.zeros((2, 3, 1)), ("series", "step"))
    with pytest.raises(ValueError, match=r"expected x to hold at least one number, got shape \(0, 2\)"):
        checks.check_finite("x", np.zeros((0, 2)))


def test_rows_may_be_one_or_many():
    assert checks.check_rows("X", [1, 2, 3], 3).tolist() == [[1, 2, 3]]
    assert checks.check_rows("X", np.ones((5, 3)), 3).shape == (5, 3)
    assert checks.check_rows("X", np.ones((5, 3)), 3, count=5).shape == (5, 3)
    for rows in ([1.0, 2.0], np.ones((4, 2)), np.ones((2, 2, 3)), np.ones((0, 3)), 1.0):
        with pytest.raises(ValueError) as refusal:
            checks.check_rows("X", rows, 3)
        assert str(refusal.value) == f"expected X of shape (3,) or (n, 3), got shape {np.shape(rows)}"
    with pytest.raises(ValueError, match="expected X to have 2 rows, one for each sample, got 1"):
        checks.check_rows("X", [1, 2, 3], 3, count=2)
    with pytest.raises(ValueError, match="expected X to hold finite numbers, got inf at row 1, column 0"):
        checks.check_rows("X", [[1, 2, 3], [np.inf, 2, 3]], 3)


def test_a_loss_that_is_not_finite_ends_the_training_with_advice():
    assert checks.check_loss(np.float32(0.5), 0.1) == 0.5
    for loss in (np.nan, np.inf, np.float32("nan")):
        with pytest.raises(FloatingPointError, match="training diverged.*below 0.1"):
            checks.check_loss(loss, 0.1)


def test_series_become_float64():
    series = checks.check_series([[1, 2, 3]])
    assert series.dtype == np.float64 and series.tolist() == [[1, 2, 3]]
    assert checks.check_series(np.ones((2, 4), np.float32)).dtype == np.float64


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ([1, 2, 3], r"expected y of shape \(series, steps\), got shape \(3,\): give one series as \[x\], Keras's as x\[..., 0\]"),
        (np.zeros((2, 3, 1)), r"expected y of shape \(series, steps\), got shape \(2, 3, 1\)"),
        (np.zeros((0, 4)), "at least one series of at least one step"),
        (np.zeros((4, 0)), "at least one series of at least one step"),
        ([[1, 2], [3, np.nan]], "got nan at series 1, step 1"),
    ],
)
def test_what_is_no_series_is_refused(broken, message):
    with pytest.raises(ValueError, match=message):
        checks.check_series(broken, name="y")


def test_images_are_those_of_mnist():
    images = np.zeros((2, 28, 28), np.uint8)
    assert checks.check_images(images) is images
    for wrong in (
        np.zeros((28, 28), np.uint8),
        np.zeros((2, 28, 28)),
        np.zeros((2, 784), np.uint8),
        np.zeros((2, 28, 28, 1), np.uint8),
        np.zeros((2, 14, 56), np.uint8),
        np.zeros((0, 28, 28), np.uint8),
        None,
        "images",
    ):
        array = np.asarray(wrong)
        with pytest.raises(ValueError) as refusal:
            checks.check_images(wrong)
        assert str(refusal.value) == f"expected uint8 images of shape (n, 28, 28), got {array.dtype} of shape {array.shape}"


def test_labels_are_whole_numbers_one_for_each_image():
    labels = np.array([0, 9, 3], np.uint8)
    assert checks.check_labels(labels, 3) is labels
    assert checks.check_labels([0, 1], classes=2).tolist() == [0, 1]
    for wrong, message in [
        (np.array([0.0, 1.0]), "labels to be whole numbers of shape .n,., got float64"),
        (np.zeros((3, 10), int), r"labels to be whole numbers of shape .n,., got int\d+ of shape \(3, 10\)"),
        (np.array([], int), "labels to be whole numbers"),
        ([-1, 1], "labels from 0 to 9, got -1 to 1"),
        ([0, 10], "labels from 0 to 9, got 0 to 10"),
    ]:
        with pytest.raises(ValueError, match=f"expected {message}"):
            checks.check_labels(wrong)
    with pytest.raises(ValueError, match="expected 4 labels, one for each image, got 3"):
        checks.check_labels(labels, 4)


def test_one_hot_rows_have_a_single_one_each():
    rows = np.eye(10)[[3, 1]]
    assert checks.check_one_hot(rows, 2) is rows
    for wrong, message in [
        (np.eye(9), r"labels of shape \(n, 10\), got shape \(9, 9\)"),
        (rows[0], r"labels of shape \(n, 10\), got shape \(10,\)"),
        (2 * rows, "each row of labels to hold a single 1 among zeros"),
        (rows + rows[::-1], "each row of labels to hold a single 1 among zeros"),
        (0 * rows, "each row of labels to hold a single 1 among zeros"),
        (np.full((2, 10), 0.1), "each row of labels to hold a single 1 among zeros"),
        (np.zeros((0, 10)), "labels to hold at least one number"),
    ]:
        with pytest.raises(ValueError, match=f"expected {message}"):
            checks.check_one_hot(wrong)
    with pytest.raises(ValueError, match=r"expected labels of shape \(3, 10\), got shape \(2, 10\)"):
        checks.check_one_hot(rows, 3)
