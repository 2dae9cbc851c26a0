"""Refusals that several notebooks share. Each check returns what it was given, converted, or raises a ValueError that
says what was expected and what came.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def expect(right: bool, wanted: str, got: Any) -> None:
    """Raise ValueError("expected {wanted}, got {got}") unless `right`."""
    if not right:
        raise ValueError(f"expected {wanted}, got {got}")


def check_whole_number(name: str, value: int, *, least: int = 1, most: int | None = None) -> int:
    """A whole number from `least` to `most`, as an int. NumPy's integers count as whole numbers; True and 2.0 do not."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    limits = f"of at least {least}" if most is None else f"from {least} to {most}"
    expect(whole and value >= least and (most is None or value <= most), f"{name} to be a whole number {limits}", repr(value))
    return int(value)


def check_number(name: str, value: float, *, above: float = -np.inf, least: float = -np.inf, below: float = np.inf) -> float:
    """A finite number larger than `above`, not smaller than `least`, and smaller than `below`, as a float."""
    limits = {"above": above, "of at least": least, "below": below}
    wanted = " and ".join(f"{words} {limit:g}" for words, limit in limits.items() if np.isfinite(limit))
    number = isinstance(value, Real) and not isinstance(value, bool)
    right = number and above < value < below and least <= value
    expect(right, f"{name} to be a finite number {wanted}".rstrip(), repr(value))
    return float(value)


def check_choice(name: str, value: str, choices: Sequence[str]) -> str:
    """One of `choices`."""
    expect(isinstance(value, str) and value in choices, f"{name} to be " + " or ".join(f'"{c}"' for c in choices), repr(value))
    return value


def check_rows(name: str, rows: ArrayLike, width: int, count: int | None = None) -> np.ndarray:
    """One row of `width` finite numbers, or n of them: (width,) or (n, width) → (n, width); `count` rows if it is given."""
    array = np.atleast_2d(_numbers(name, rows))
    right = array.ndim == 2 and array.shape[1] == width and len(array) > 0
    expect(right, f"{name} of shape ({width},) or (n, {width})", f"shape {np.shape(rows)}")
    expect(count is None or len(array) == count, f"{name} to have {count} rows, one for each sample", len(array))
    return _finite(name, array, ("row", "column"))


def check_loss(loss: float, lr: float) -> float:
    """The loss of a training step, as a float. Raises FloatingPointError, with advice, once it is not finite."""
    if not np.isfinite(loss):
        raise FloatingPointError(f"training diverged: the loss is {loss}. Start again with a learning rate below {lr:.3g}.")
    return float(loss)


def check_series(x: ArrayLike, name: str = "x") -> np.ndarray:
    """Series of finite numbers, (series, steps), at least one series of at least one step, as float64."""
    array = _numbers(name, x)
    hint = ": give one series as [x], Keras's as x[..., 0]"
    expect(array.ndim == 2, f"{name} of shape (series, steps)", f"shape {array.shape}{hint}")
    expect(array.size > 0, f"{name} to be at least one series of at least one step", f"shape {array.shape}")
    return _finite(name, array, ("series", "step")).astype(np.float64)


def check_images(images: ArrayLike) -> np.ndarray:
    """Images as MNIST has them: uint8 of shape (n, 28, 28), at least one."""
    array = np.asarray(images)
    right = array.dtype == np.uint8 and array.ndim == 3 and array.shape[1:] == (28, 28) and len(array) > 0
    expect(right, "uint8 images of shape (n, 28, 28)", f"{array.dtype} of shape {array.shape}")
    return array


def check_labels(labels: ArrayLike, count: int | None = None) -> np.ndarray:
    """Labels as MNIST has them: whole numbers from 0 to 9, of shape (n,); `count` of them if that is given."""
    array = np.asarray(labels)
    right = array.dtype.kind in "iu" and array.ndim == 1 and len(array) > 0
    expect(right, "labels to be whole numbers of shape (n,)", f"{array.dtype} of shape {array.shape}")
    expect(count is None or len(array) == count, f"{count} labels, one for each image", len(array))
    low, high = int(array.min()), int(array.max())
    expect(0 <= low and high <= 9, "labels from 0 to 9", f"{low} to {high}")
    return array


def _numbers(name: str, values: ArrayLike) -> np.ndarray:
    """An array of real numbers, of any shape; NaN and infinity pass."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"expected {name} to hold numbers in rows of one length, got rows of different lengths") from None
    expect(array.dtype.kind in "biuf", f"{name} to hold numbers", f"values of type {array.dtype}")
    return array


def _finite(name: str, array: np.ndarray, axes: tuple[str, str]) -> np.ndarray:
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        place = ", ".join(f"{axis} {i}" for axis, i in zip(axes, wrong[0]))
        raise ValueError(f"expected {name} to hold finite numbers, got {array[tuple(wrong[0])]} at {place}")
    return array
