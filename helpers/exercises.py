"""The checks of the exercises: each says whether an answer is right and, where it is a known mistake, which one.

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
    mistake = verdict(result)
    print(f"Not yet: {mistake}" if mistake else f"Right. {praise}")
    return not mistake
