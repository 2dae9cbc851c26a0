"""Keep out of notebooks what TensorFlow 2.21 writes to the terminal as it is imported, whatever TF_CPP_MIN_LOG_LEVEL says."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, what C++ code writes to stderr is dropped; Python's exceptions pass as always.

    >>> with quiet():
    ...     import tensorflow as tf
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
