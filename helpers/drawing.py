"""A pad to draw a digit on: each drawing is centred as MNIST's digits are and classified at once, and the result shown in bars.

    >>> pad = drawing_pad({"network": lambda image: network.predict(np.uint8(255 * image)[None])[0]}, ready=mnist.x_test[0])
    >>> pad.read, pad.picture.shape
    ({'network': 7}, (28, 28))

It is an anywidget, which works in JupyterLab, Notebook 7, VS Code and Colab. Elsewhere a sentence stands in its place.
Its view in the browser is drawing.js and drawing.css.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from IPython import get_ipython
from IPython.display import display

from helpers.checks import expect
from helpers.pictures import PictureError, centre

Classifier = Callable[[np.ndarray], Any]  # (28, 28) float32, 0 for paper to 1 for ink → ten probabilities, (10,)


def drawing_pad(classifiers: Mapping[str, Classifier], ready: Any = None) -> Pad:
    """Display a pad and return it; the named `classifiers` read what is drawn on it. It never waits for a drawing.

    A classifier takes (28, 28) float32, 0 for paper to 1 for ink, and gives the probabilities of the ten digits, (10,) in
    [0, 1]. `ready` is the digit that is read until there is a drawing: (28, 28), uint8, or floats in [0, 1]. Raises ValueError
    if there is no classifier, or if `ready` or what a classifier makes of it is something else.
    """
    pad = Pad(classifiers, ready)
    if getattr(get_ipython(), "kernel", None) is None:
        print(pad.sentence("in JupyterLab, VS Code and Colab"))
        return pad
    try:
        pad.widget = make_widget(pad)
    except ImportError:
        print(pad.sentence("after `pip install anywidget` and a restart of the kernel"))
        return pad
    bundle, metadata = pad.widget._repr_mimebundle_()
    display({**bundle, "text/plain": pad.sentence("in JupyterLab, VS Code and Colab")}, metadata=metadata, raw=True)
    return pad


class Pad:
    """What is drawn, and what the classifiers make of it.

    `picture` is (28, 28) float32, as the classifiers see it (None without a drawing and a ready digit); `probabilities` has
    (10,) for each classifier that gave some; `message` is the sentence on the pad.
    """

    def __init__(self, classifiers: Mapping[str, Classifier], ready: Any = None) -> None:
        self.classifiers, self.widget, self.answers = dict(classifiers), None, 0
        callables = bool(self.classifiers) and all(map(callable, self.classifiers.values()))
        expect(callables, "at least one classifier, a function with a name", repr(classifiers))
        self.ready = None if ready is None else _as_picture(ready)
        self.picture: np.ndarray | None = None
        self.probabilities: dict[str, np.ndarray] = {}
        self.draw(None, forgive=())  # what is wrong with a classifier now is raised in the caller's cell

    @property
    def read(self) -> dict[str, int]:
        """The most probable digit, by the name of the classifier."""
        return {name: int(ten.argmax()) for name, ten in self.probabilities.items()}

    def sentence(self, place: str) -> str:
        """What stands where the pad can't be shown."""
        read = " and ".join(f"as {digit} by {name}" for name, digit in self.read.items())
        return f"A pad to draw a digit on appears here {place}." + (f" For now: the ready digit, read {read}." if read else "")

    def draw(self, pixels: Any, forgive: type[Exception] | tuple[()] = Exception) -> None:
        """Read a drawing as the browser sends it, 784 whole numbers from 0 for paper to 255 for ink; None: it was cleared.

        A drawing that can't be read is told on the pad, and so are those exceptions of the classifiers that `forgive` covers.
        """
        try:
            if pixels is not None:
                self._classify(centre(_ink(pixels)), forgive)
            elif self.ready is not None:
                self._classify(self.ready, forgive)
                self.message = f"The ready digit: {self.message} Now draw one of your own."
            else:
                self.picture, self.probabilities, self.message = None, {}, "Draw a digit."
        except PictureError as error:
            text = str(error)
            self.message = f"{text[0].upper()}{text[1:]}. What was read before still stands."
        self.answers += 1
        if self.widget is not None:
            self.widget.shown = self.shown()

    def shown(self) -> dict[str, Any]:
        """What the browser shows, as JSON has it."""
        return {
            "answer": self.answers,  # without it, the same answer twice would not be sent
            "message": self.message,
            "picture": None if self.picture is None else np.uint8(np.round(255 * self.picture)).ravel().tolist(),
            "readings": [{"name": name, "probabilities": ten.tolist()} for name, ten in self.probabilities.items()],
        }

    def _classify(self, picture: np.ndarray, forgive: type[Exception] | tuple[()]) -> None:
        self.picture, self.probabilities, said = picture, {}, []
        for name, classifier in self.classifiers.items():
            try:
                ten = self.probabilities[name] = _ten(name, classifier(picture.copy()))
                said.append(f"{name} reads {ten.argmax()} ({100 * ten.max():.0f} %)")
            except forgive as error:  # a classifier is the caller's code; the pad goes on
                said.append(f"{name} failed with {type(error).__name__}: {error}")
        self.message = "; ".join(said) + "."


def make_widget(pad: Pad) -> Any:
    """The pad's view in the browser. Raises ImportError where anywidget is missing."""
    import anywidget
    import traitlets

    class DrawingPad(anywidget.AnyWidget):
        # the text, not the path: for a path outside site-packages, anywidget may want to watch the file
        _esm = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
        _css = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
        drawing = traitlets.Any(None, allow_none=True).tag(sync=True)  # from the browser; Pad.draw checks it and answers
        shown = traitlets.Dict().tag(sync=True)  # to the browser

    widget = DrawingPad(shown=pad.shown())
    widget.observe(lambda change: pad.draw(change["new"]), "drawing")
    return widget


def _ink(pixels: Any) -> np.ndarray:
    """A drawing from the browser as (28, 28) float32 in [0, 1]. Raises PictureError."""
    whole = isinstance(pixels, list) and len(pixels) == 784 and all(type(value) is int and 0 <= value <= 255 for value in pixels)
    if not whole:
        raise PictureError("expected a drawing of 784 whole numbers from 0 to 255, got something else")
    return np.array(pixels, np.float32).reshape(28, 28) / 255


def _as_picture(ready: Any) -> np.ndarray:
    """The ready digit as (28, 28) float32 in [0, 1]. Raises ValueError."""
    array = np.asarray(ready)
    picture = array.astype(np.float32) / (255 if array.dtype == np.uint8 else 1) if array.dtype.kind in "buif" else None
    right = picture is not None and picture.shape == (28, 28) and picture.min() >= 0 and picture.max() <= 1
    expect(right, "a ready digit (28, 28), uint8 or in [0, 1]", f"{array.dtype} of shape {array.shape}")
    return picture


def _ten(name: str, result: Any) -> np.ndarray:
    """The ten probabilities (10,) float that classifier `name` gave. Raises ValueError if they are something else."""
    ten = np.asarray(result)
    right = ten.shape == (10,) and ten.dtype.kind in "buif"
    expect(right, f"ten probabilities, shape (10,), from {name!r}", f"{ten.dtype} of shape {ten.shape}")
    right = np.isfinite(ten).all() and ten.min() >= 0 and ten.max() <= 1.001
    expect(right, f"ten finite probabilities in [0, 1] from {name!r}", ten.tolist())
    return ten.astype(float)
