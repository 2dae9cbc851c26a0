"""Import Keras and TensorFlow without their log lines, and with the settings that the notebooks are written for."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what is written to the file descriptor of stderr, as C++ code does; drop it if all goes well.

    If an exception leaves the block, what was held back is shown on stderr first: it often tells the reason.
    TensorFlow 2.21 writes some lines while it is imported whatever TF_CPP_MIN_LOG_LEVEL says.

    >>> with quiet():
    ...     import tensorflow as tf
    """
    _flush()
    try:
        stderr = os.dup(2)
    except OSError:  # a program without a console has none
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            _flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            if failed and sys.stderr is not None:
                held.seek(0)
                print(held.read().decode(errors="replace"), end="", file=sys.stderr, flush=True)


def prepare_keras() -> None:
    """Give Keras its usual settings, whatever keras.json says: float32, channels last, all epochs; and no TF32.

    TensorFloat-32 rounds products on newer GPUs to three decimal digits; the notebooks compare numbers to 1e-5.

    Raises RuntimeError if Keras was imported with another backend than TensorFlow before `helpers` could choose it.
    """
    import keras
    import tensorflow as tf

    backend = keras.config.backend()
    if backend != "tensorflow":
        raise RuntimeError(
            f"expected Keras with the backend tensorflow, got {backend}: Keras was imported before this notebook could choose. "
            "Restart the kernel and run the cells in order."
        )
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    if hasattr(keras.config, "set_max_epochs"):  # limits for debugging, from KERAS_MAX_EPOCHS; newer than Keras 3.8
        keras.config.set_max_epochs(None)
        keras.config.set_max_steps_per_epoch(None)
    tf.config.experimental.enable_tensor_float_32_execution(False)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
