"""What the checks of the exercises share: calling an answer, comparing what it gives, and saying in one line what is wrong.

A check prints `Right. ...`, `Not yet: ...` or `Not written yet.`, and returns True, False or None.
"""

from __future__ import annotations

import copy
import dis
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

TOLERANCE = 1e-4  # of the largest number: an answer computed in float32 is right
IDLE = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}  # the bytecode of a body that is only `...` or `pass`


class NotYet(Exception):
    """The answer is wrong; the message says why."""


class NotWritten(Exception):
    """There is no answer yet."""


class Mistake(NamedTuple):
    """A known mistake: its name, what an answer that makes it gives (a tuple, if the answer has parts), and some advice."""

    name: str
    gives: Any
    advice: str


def judge(examine: Callable[..., str]) -> Callable[..., bool | None]:
    """Decorate the examination of a reader's function, its first argument, so that it prints one line.

    `examine` is given an Answer in the place of the function. It raises NotYet with what is wrong, or returns what to say of a
    right answer. Decorated, it returns True if the function is right, False if not, and None if it isn't written yet.
    """
    signature = inspect.signature(examine)

    @functools.wraps(examine)
    def check(*arguments: Any, **named: Any) -> bool | None:
        call = signature.bind(*arguments, **named)
        first = next(iter(call.arguments))
        answer = call.arguments[first] = Answer(call.arguments[first])
        try:
            praise = examine(*call.args, **call.kwargs)
            if answer.changed:
                raise NotYet(f"the result is right, but your code changes its argument number {answer.changed} in place.")
        except NotWritten:
            print("Not written yet.")
            return None
        except NotYet as wrong:
            print(f"Not yet: {wrong}")
            return False
        print(f"Right. {praise}")
        return True

    check.__signature__ = signature.replace(return_annotation="bool | None")
    return check


class Answer:
    """A reader's function, called with copies of its arguments. Raises NotWritten or NotYet if no result comes back.

    `changed` is the number of an argument that was changed in place, counted from 1, or 0.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.changed = function, 0

    def __call__(self, *arguments: Any) -> Any:
        if not callable(self.function):
            raise NotYet("the check takes the function itself, without parentheses after its name.")
        given = [copy.deepcopy(each) if isinstance(each, (np.ndarray, list)) else each for each in arguments]
        try:
            with np.errstate(all="ignore"):  # what overflows is told by the check
                result = self.function(*given)
        except Exception as error:  # a reader's code may fail in any way
            raise NotYet(f"your code stopped with {type(error).__name__}: {error}") from error
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        if result is ... or (result is None and code and {each.opname for each in dis.get_instructions(code)} <= IDLE):
            raise NotWritten
        if result is None:
            hint = "It prints: `return` the result." if code and "print" in code.co_names else "Is its `return` missing?"
            raise NotYet(f"your function returns nothing. {hint}")
        for number, (before, after) in enumerate(zip(arguments, given), start=1):
            if isinstance(before, (np.ndarray, list)) and not np.array_equal(before, after):
                self.changed = number
        return result


def numbers(value: Any, name: str) -> np.ndarray:
    """A number, list, array or tensor as an array of float64. Raises NotYet if it is something else."""
    if callable(value) and not hasattr(value, "__array__"):
        raise NotYet(f"{name} is a function, not its value: are parentheses missing after it?")
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biufO":
            raise TypeError(array.dtype)
        return array.astype(float)
    except Exception as error:  # of strings, ragged lists, symbolic tensors, ...
        raise NotYet(f"expected {name} as numbers, got {described(value)}.") from error


def number(value: Any, name: str) -> float:
    """One number. Raises NotYet if it is something else, be it an array that holds a single number."""
    array = numbers(value, name)
    if array.shape:
        raise NotYet(f"expected {name} as one number, got {described(value)}.")
    return float(array)


def parts(result: Any, names: Iterable[str], convert: Callable[[Any, str], Any] = numbers) -> list[Any]:
    """The converted parts of an answer, one for each name. Raises NotYet if some are missing, NotWritten if all are."""
    names = list(names)
    try:
        found = [] if isinstance(result, (str, dict, set)) else list(result)
    except Exception:  # it has no parts
        found = []
    missing = [part is None or part is ... for part in found]
    if missing and all(missing):
        raise NotWritten
    if len(found) != len(names):
        raise NotYet(f"expected {len(names)} values, {', '.join(names)}, got {described(result)}.")
    absent = [name for name, is_missing in zip(names, missing) if is_missing]
    if absent:
        raise NotYet(f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} still missing.")
    return list(map(convert, found, names))


def described(value: Any) -> str:
    """What kind of thing a reader's function gave."""
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of length {len(value)}"
    if getattr(value, "shape", ()):
        return f"an array of shape {tuple(value.shape)}"
    if hasattr(value, "shape") or isinstance(value, (int, float)):
        return "a single number"
    return f"something of type {type(value).__name__}"


def same(found: Any, right: Any) -> bool:
    """Whether two arrays agree to within TOLERANCE of the largest number that is right."""
    found, right = np.asarray(found, float), np.asarray(right, float)
    with np.errstate(all="ignore"):
        return found.shape == right.shape and bool(np.all(np.abs(found - right) <= TOLERANCE * max(np.abs(right).max(), 1e-3)))


def scaled(right: Mapping[str, Any], reasons: Mapping[float, str]) -> list[Mistake]:
    """The mistakes that multiply everything by one factor; `reasons` has the advice for each."""
    mistakes = []
    for factor, advice in reasons.items():
        name = "the sign is wrong" if factor == -1 else f"{factor:.3g} times what it should be"
        mistakes.append(Mistake(name, tuple(factor * np.asarray(value) for value in right.values()), advice))
    return mistakes


def compare(
    result: Any,
    right: Mapping[str, Any],
    mistakes: Sequence[Mistake],
    place: Callable[[str, tuple[int, ...]], str] | None = None,
) -> None:
    """Compare an answer with what is right, part by part; the parts stand in the order in which they are returned.

    Raises NotYet with the known mistake that explains the whole answer; else with the order of the parts; else with the last
    wrong part, since in backpropagation the parts before it follow from it, and the known mistake that explains it. Where no
    mistake is known, the worst element is shown; `place` names it, from the part's name and the indices.
    """
    names = list(right)
    want = [np.asarray(value, float) for value in right.values()]
    found = parts(result, names) if len(names) > 1 else [numbers(result, names[0])]
    if all(map(same, found, want)):
        return
    for name, gives, advice in mistakes:
        if all(map(same, found, gives if isinstance(gives, tuple) else [gives])):
            raise NotYet(f"{name}. {advice}")
    shapes, right_shapes = [part.shape for part in found], [part.shape for part in want]
    mixed = shapes != right_shapes and sorted(shapes) == sorted(right_shapes)
    if mixed or any(all(map(same, found, order)) for order in permutations(want)):
        raise NotYet(f"the order is wrong. It is {', '.join(names)}.")
    for i in reversed(range(len(names))):
        if same(found[i], want[i]):
            continue
        for name, gives, advice in mistakes if len(names) > 1 else []:
            if same(found[i], gives[i]):
                raise NotYet(f"{'' if names[i] in name else names[i] + ': '}{name}. {advice}")
        if want[i].ndim == 2 and same(found[i].T, want[i]):
            raise NotYet(f"{names[i]} is transposed.")
        if shapes[i] != right_shapes[i]:
            expected = f"of shape {right_shapes[i]}" if right_shapes[i] else "as one number"
            raise NotYet(f"expected {names[i]} {expected}, got {described(found[i])}.")
        worst = np.unravel_index(np.argmax(np.abs(found[i] - want[i])), want[i].shape)
        where = place(names[i], worst) if place else names[i] + (str(list(map(int, worst))) if worst else "")
        raise NotYet(f"{where} should be {want[i][worst]:.4g}, you have {found[i][worst]:.4g}.")


def central_differences(loss: Callable[[], float], arrays: Iterable[np.ndarray], h: float = 1e-5) -> list[np.ndarray]:
    """The gradients of `loss()` by float64 arrays that it reads, each element nudged by ±h in place."""
    gradients = []
    for array in arrays:
        gradients.append(np.empty_like(array))
        for index in np.ndindex(array.shape):
            value, losses = array[index], []
            for nudge in (h, -h):
                array[index] = value + nudge
                losses.append(loss())
            array[index] = value
            gradients[-1][index] = (losses[0] - losses[1]) / (2 * h)
    return gradients
