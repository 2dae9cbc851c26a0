"""A pad to draw a digit on: each stroke is centred as MNIST's digits are, read at once, and the reading shown in live bars.

    >>> pad = drawing_pad({"network": lambda image: network.predict(np.uint8(255 * image)[None])[0]}, ready=mnist.x_test[0])
    >>> pad.read, pad.picture.shape
    ({'network': 7}, (28, 28))

It is an anywidget, which works in JupyterLab, Notebook 7, VS Code and Colab. Elsewhere a sentence stands in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from IPython import get_ipython
from IPython.display import display

from helpers.pictures import PictureError, centre

Reader = Callable[[np.ndarray], Any]  # (28, 28) float32, 0 for paper to 1 for ink → ten probabilities, (10,)


def drawing_pad(readers: Mapping[str, Reader], ready: Any = None) -> Pad:
    """Display a pad, whose drawings the named `readers` read, and return it. It never waits for a drawing.

    A reader takes (28, 28) float32, 0 for paper to 1 for ink, and gives its probabilities of the ten digits, (10,) in [0, 1].
    `ready` is the digit that is read until there is a drawing: (28, 28), uint8, or floats in [0, 1]. Raises ValueError if
    there is no reader, or if `ready` or what a reader makes of it is something else.
    """
    pad = Pad(readers, ready)
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
    """What is drawn, and what the readers say of it.

    `picture` is (28, 28) float32, as the readers see it (None without a drawing and a ready digit); `probabilities` has (10,)
    for each reader that could read it; `message` is the sentence on the pad.
    """

    def __init__(self, readers: Mapping[str, Reader], ready: Any = None) -> None:
        self.readers, self.widget, self.answers = dict(readers), None, 0
        if not self.readers or not all(map(callable, self.readers.values())):
            raise ValueError(f"expected at least one reader, a function with a name, got {readers!r}")
        self.ready = None if ready is None else _as_picture(ready)
        self.picture: np.ndarray | None = None
        self.probabilities: dict[str, np.ndarray] = {}
        self.draw(None, forgive=())  # what is wrong with a reader now belongs into the caller's cell

    @property
    def read(self) -> dict[str, int]:
        """The most probable digit, by the name of the reader."""
        return {name: int(ten.argmax()) for name, ten in self.probabilities.items()}

    def sentence(self, place: str) -> str:
        """What stands where the pad can't be shown."""
        read = " and ".join(f"as {digit} by {name}" for name, digit in self.read.items())
        return f"A pad to draw a digit on appears here {place}." + (f" For now: the ready digit, read {read}." if read else "")

    def draw(self, pixels: Any, forgive: type[Exception] | tuple[()] = Exception) -> None:
        """Read a drawing as the browser sends it, 784 whole numbers from 0 for paper to 255 for ink; None: it was cleared.

        What is wrong with it is said on the pad, as are those of the readers' exceptions that `forgive` covers.
        """
        try:
            if pixels is not None:
                self._ask(centre(_ink(pixels)), forgive)
            elif self.ready is not None:
                self._ask(self.ready, forgive)
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

    def _ask(self, picture: np.ndarray, forgive: type[Exception] | tuple[()]) -> None:
        self.picture, self.probabilities, said = picture, {}, []
        for name, reader in self.readers.items():
            try:
                ten = self.probabilities[name] = _ten(name, reader(picture.copy()))
                said.append(f"{name} reads {ten.argmax()} ({100 * ten.max():.0f} %)")
            except forgive as error:  # a reader is the caller's code; the pad outlives it
                said.append(f"{name} failed with {type(error).__name__}: {error}")
        self.message = "; ".join(said) + "."


def make_widget(pad: Pad) -> Any:
    """The pad's view in the browser. Raises ImportError where anywidget is missing."""
    import anywidget
    import traitlets

    class DrawingPad(anywidget.AnyWidget):
        _esm, _css = ESM, CSS
        drawing = traitlets.Any(None, allow_none=True).tag(sync=True)  # from the browser; checked in Pad.draw, which answers
        shown = traitlets.Dict().tag(sync=True)  # to the browser

    widget = DrawingPad(shown=pad.shown())
    widget.observe(lambda change: pad.draw(change["new"]), "drawing")
    return widget


def _ink(pixels: Any) -> np.ndarray:
    whole = isinstance(pixels, list) and len(pixels) == 784 and all(type(value) is int and 0 <= value <= 255 for value in pixels)
    if not whole:
        raise PictureError("expected a drawing of 784 whole numbers from 0 to 255, got something else")
    return np.array(pixels, np.float32).reshape(28, 28) / 255


def _as_picture(ready: Any) -> np.ndarray:
    array = np.asarray(ready)
    picture = array.astype(np.float32) / (255 if array.dtype == np.uint8 else 1) if array.dtype.kind in "buif" else None
    if picture is None or picture.shape != (28, 28) or not (picture.min() >= 0 and picture.max() <= 1):
        raise ValueError(f"expected a ready digit (28, 28), uint8 or in [0, 1], got {array.dtype} of shape {array.shape}")
    return picture


def _ten(name: str, result: Any) -> np.ndarray:
    """The ten probabilities (10,) float that reader `name` gave. Raises ValueError if they are something else."""
    ten = np.asarray(result)
    if ten.shape != (10,) or ten.dtype.kind not in "buif":
        raise ValueError(f"expected ten probabilities, shape (10,), from {name!r}, got {ten.dtype} of shape {ten.shape}")
    if not (np.isfinite(ten).all() and ten.min() >= 0 and ten.max() <= 1.001):
        raise ValueError(f"expected ten finite probabilities in [0, 1] from {name!r}, got {ten.tolist()}")
    return ten.astype(float)


ESM = """
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function ink(pen) { // the mean of 10 by 10 points for each of 784 pixels, from opacity, so that no theme matters
  const { data } = pen.getImageData(0, 0, 280, 280);
  const sums = new Array(784).fill(0);
  for (let i = 0; i < 78400; i++) sums[28 * Math.floor(i / 2800) + Math.floor((i % 280) / 10)] += data[4 * i + 3];
  return sums.map((sum) => Math.round(sum / 100));
}

function paint(pen, values, side) {
  pen.clearRect(0, 0, 28 * side, 28 * side);
  (values ?? []).forEach((value, i) => {
    pen.fillStyle = `rgba(0, 0, 0, ${value / 255})`;
    pen.fillRect(side * (i % 28), side * Math.floor(i / 28), side, side);
  });
}

function bars({ name, probabilities }) {
  const best = probabilities.indexOf(Math.max(...probabilities));
  const percent = (p) => `${Math.round(100 * p)} %`;
  const columns = probabilities.map((p, digit) => {
    const bar = element("div", { class: "bar", style: `height: ${72 * p}px` });
    const above = element("small", {}, digit === best ? percent(p) : "");
    return element("div", { class: digit === best ? "best" : "" }, above, bar, `${digit}`);
  });
  const spoken = `${name}: ${probabilities.map((p, digit) => `${digit}: ${percent(p)}`).join(", ")}`;
  return element("figure", {}, element("figcaption", {}, `${name} reads ${best}`),
    element("div", { class: "bars", role: "img", "aria-label": spoken }, ...columns));
}

function render({ model, el }) {
  const canvas = element("canvas", { class: "paper", width: 280, height: 280, tabindex: 0, role: "img",
    "aria-label": "Paper to draw one digit on, with mouse, finger or pen. Press Tab for the button that clears it." });
  const clear = element("button", { type: "button", "data-lm-suppress-shortcuts": "true" }, "Clear"); // Enter is its own
  const seen = element("canvas", { class: "seen", width: 28, height: 28, role: "img",
    "aria-label": "The digit as it is read, centred, in 28 by 28 pixels" });
  const readings = element("div", { class: "readings" });
  const status = element("p", { role: "status", "aria-live": "polite" });
  el.append(element("div", { class: "digit-pad" },
    element("div", {}, element("p", {}, "Draw a digit"), canvas, clear),
    element("div", {}, element("p", {}, "As it is read"), seen), readings, status));

  const pen = canvas.getContext("2d", { willReadFrequently: true });
  paint(pen, model.get("drawing"), 10); // what was drawn before the page was loaded again
  Object.assign(pen, { lineWidth: 22, lineCap: "round", lineJoin: "round", strokeStyle: "black" });
  let last = null; // where the pen is, while it is down
  let patience = 0;
  const stroke = (event) => {
    const box = canvas.getBoundingClientRect();
    const next = [280 * (event.clientX - box.left) / box.width, 280 * (event.clientY - box.top) / box.height];
    pen.beginPath();
    pen.moveTo(...(last ?? next));
    pen.lineTo(...next);
    pen.stroke();
    last = next;
  };
  const send = (drawing) => {
    if (JSON.stringify(drawing) === JSON.stringify(model.get("drawing"))) return; // the kernel would not answer
    status.setAttribute("aria-busy", "true");
    patience = setTimeout(() => { status.textContent = "It is read as soon as the kernel is free."; }, 500);
    model.set("drawing", drawing);
    model.save_changes();
  };
  const end = () => {
    if (last) send(ink(pen));
    last = null;
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    stroke(event);
  });
  canvas.addEventListener("pointermove", (event) => last && event.isPrimary && stroke(event));
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(name, end);
  clear.addEventListener("click", () => {
    paint(pen, null, 10);
    send(null);
  });

  const show = () => {
    clearTimeout(patience);
    const shown = model.get("shown");
    paint(seen.getContext("2d"), shown.picture, 1);
    readings.replaceChildren(...shown.readings.map(bars));
    status.textContent = shown.message;
    status.setAttribute("aria-busy", "false");
  };
  model.on("change:shown", show);
  show();
  return () => model.off("change:shown", show);
}
export default { render };
"""

CSS = """
.digit-pad { display: flex; flex-wrap: wrap; gap: 4px 24px; padding: 8px; font: 14px/1.4 system-ui, sans-serif;
  color-scheme: light dark; background: var(--jp-layout-color0, Canvas); color: var(--jp-content-font-color1, CanvasText); }
.digit-pad p, .digit-pad figure { margin: 0 0 6px; }
.digit-pad canvas { display: block; background: white; box-shadow: 0 0 0 1px gray; }
.digit-pad .paper { width: 280px; height: 280px; cursor: crosshair; touch-action: none; }
.digit-pad .seen { width: 112px; height: 112px; image-rendering: pixelated; }
.digit-pad button { margin-top: 8px; padding: 4px 16px; font: inherit; }
.digit-pad .paper:focus-visible, .digit-pad button:focus-visible { outline: 3px solid #0072b2; outline-offset: 2px; }
.digit-pad .bars { display: flex; align-items: flex-end; height: 116px; }
.digit-pad .bars > div { width: 24px; text-align: center; white-space: nowrap; }
.digit-pad .bars small { display: flex; justify-content: center; }
.digit-pad .bar { box-sizing: border-box; min-height: 2px; margin: 0 4px; border: 1px solid; background: currentColor; }
.digit-pad figure + figure .bar { background: repeating-linear-gradient(45deg, currentColor 0 2px, transparent 2px 5px); }
.digit-pad .best, .digit-pad figcaption { font-weight: bold; }
.digit-pad [role="status"] { flex-basis: 100%; min-height: 1.4em; }
"""
