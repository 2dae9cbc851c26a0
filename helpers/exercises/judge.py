"""What the checks of the exercises share: one line that says whether an answer is right.

A check prints one line, and returns True if the answer is right, False if not, and None if nothing is written yet
(the answer returns None or `...`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def judge(answer: Callable[[], Any], verdict: Callable[[Any], str | None], praise: str) -> bool | None:
    """Call `answer`, let `verdict` name what is wrong with its result (None: nothing), and print one line.

    An answer that raises is told as "Not yet", with the error in words.
    """
    try:
        result = answer()
    except Exception as error:  # the reader's code may fail in any way
        print(f"Not yet: your code stopped with {type(error).__name__}: {error}")
        return False
    if result is None or result is ...:
        print("Not written yet.")
        return None
    try:
        mistake = verdict(result)
    except Exception as error:  # an answer of another kind than was asked for, which can't be compared
        mistake = f"that is not what was asked for: {error}. Are parentheses missing after a method?"
    print(f"Not yet: {mistake}" if mistake else f"Right. {praise}")
    return not mistake
