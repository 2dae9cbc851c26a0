"""Figures that several notebooks draw, one way to show any figure with its alt text, and a line of live progress."""

from __future__ import annotations

import base64
import io
import os
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from PIL import Image

from helpers.checks import check_choice

# Okabe and Ito's colours (2008), which colour-blind readers tell apart; each has a dash of its own, for greyscale.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (8, 3)), (0, (1, 1)))

plt.rcdefaults()  # a reader's own rc file could turn the digits upside down; the backend stays as it is
plt.rc("axes", prop_cycle=plt.cycler(color=COLOURS, linestyle=DASHES), titlesize=11, titleweight="bold")
plt.rc("axes.spines", top=False, right=False)
plt.rc("figure", titlesize=11, titleweight="bold")
plt.rc("image", cmap="gray_r", interpolation="nearest")
plt.rc("legend", frameon=False)

_figure_note = ""


def set_figure_note(note: str) -> None:
    """Write `note` in small letters under every figure from now on; "" for none."""
    global _figure_note
    _figure_note = note


def show(fig: Figure, alt: str) -> None:
    """Display `fig` as a PNG that carries `alt`, a sentence for readers who can't see it, and close the figure.

    Where there is nothing to display it in (an exported notebook under plain Python), `alt` is printed instead.

    Raises ValueError if `alt` is empty.
    """
    if not alt.strip():
        raise ValueError("expected alt, a sentence that says what the figure shows, got an empty text")
    if get_ipython() is None:
        print(f"Figure: {alt}")
    else:
        if _figure_note:
            fig.text(0.995, 0.005, _figure_note, ha="right", va="bottom", fontsize=8, style="italic")
        png = base64.b64encode(_png(fig)).decode()
        display({"image/png": png, "text/plain": alt}, metadata={"image/png": {"alt": alt}}, raw=True)
    plt.close(fig)


def plot_lines(
    x: Sequence[float] | np.ndarray,
    lines: Mapping[str, Sequence[float] | np.ndarray],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    alt: str = "",
    log: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw one line for each entry of `lines` (label: values) over `x`, and show them with `alt`, or draw them on `ax`.

    `log` names the logarithmic axes: "", "x", "y" or "xy". NaN leaves a gap.
    """
    axes = plt.subplots(figsize=(7, 3.6))[1] if ax is None else ax
    for label, values in lines.items():
        if len(values) != len(x):
            raise ValueError(f"expected {len(x)} values for the line {label!r}, one for each x, got {len(values)}")
        axes.plot(x, values, label=label)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel, **{f"{letter}scale": "log" for letter in log})
    axes.grid(alpha=0.25, linewidth=0.6, linestyle="-")
    if len(lines) > 1:
        axes.legend()
    if ax is None:
        show(axes.figure, alt)
    return axes


def plot_dots(
    rows: Mapping[str, Sequence[float] | float],
    *,
    title: str,
    xlabel: str,
    alt: str,
    number: str = "{:.3g}",
    log: bool = False,
) -> None:
    """Show one row for each variant, from top to bottom: a dot for each seed, a tick at their mean, and the mean in words.

    `number` is how the mean is written, such as "{:.2f} %"; `log` makes the axis logarithmic.
    """
    fig, axes = plt.subplots(figsize=(7.5, 0.36 * len(rows) + 1.1))
    for height, (label, values) in enumerate(rows.items()):
        values = np.atleast_1d(np.asarray(values, float))
        if values.ndim != 1 or not np.isfinite(values).all():
            raise ValueError(f"expected one finite number for each seed of {label!r}, got {values.tolist()}")
        axes.plot(values, np.full(len(values), height), "o", color=COLOURS[0], alpha=0.7, linestyle="none")
        axes.plot(values.mean(), height, "|", color="black", markersize=15, markeredgewidth=2)
        mean = number.format(values.mean())
        axes.annotate(mean, (values.max(), height), (9, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set(yticks=range(len(rows)), yticklabels=list(rows), ylim=(len(rows) - 0.5, -0.5), title=title, xlabel=xlabel)
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.minorticks_off()
    axes.xaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.12)
    axes.grid(axis="x", alpha=0.25, linewidth=0.6)
    show(fig, alt)


def plot_images(
    images: np.ndarray,
    captions: Sequence[str] | None = None,
    *,
    title: str,
    alt: str,
    columns: int = 10,
    limits: tuple[float, float] | None = None,
    size: float = 0.85,
) -> None:
    """Show pictures (n, height, width) or (n, height, width, 1) in a grid, ink dark on light, each with its caption.

    All share one scale: `limits` (the values drawn lightest and darkest), or the least and the greatest value in `images`.
    `size` is the width of one picture in inches.
    """
    images = _without_channel(np.asarray(images), 3)
    if images.ndim != 3 or len(images) == 0:
        raise ValueError(f"expected pictures of shape (n, height, width), got {images.shape}")
    rows = [images[start : start + columns] for start in range(0, len(images), columns)]
    show(_grid(rows, captions, title=title, limits=limits, size=size, frame=False), alt)


def image_rows(
    rows: Mapping[str, Sequence[np.ndarray] | np.ndarray],
    captions: Sequence[str] | None = None,
    *,
    title: str,
    alt: str,
    limits: tuple[float, float] | None = None,
    scale: str = "all",
    signed: bool = False,
    size: float = 0.85,
) -> None:
    """Show labelled rows of pictures (label: pictures (height, width)), ink dark on light, each picture with its caption.

    Pictures may differ in size; those of shape (height, width, 3) are drawn in their own colours, from 0 to 1. The others
    share one scale of grey, that of `limits` or from their least to their greatest value; with scale="image", each has its
    own. If `signed`, pictures with values below zero are drawn red where they are positive, white at zero and blue where
    they are negative. `size` is the width of one picture in inches.
    """
    check_choice("scale", scale, ("all", "image"))
    pictures = [[_without_channel(np.asarray(picture), 2) for picture in row] for row in rows.values()]
    if not rows or not all(pictures):
        raise ValueError("expected at least one picture in each row, got none")
    for picture in (picture for row in pictures for picture in row):
        if picture.ndim != 2 and picture.shape[2:] != (3,):
            raise ValueError(f"expected pictures of shape (height, width), got {picture.shape}")
    look = {"limits": limits, "scale": scale, "signed": signed, "size": size}
    show(_grid(pictures, captions, labels=rows, title=title, **look), alt)


def save_picture(pixels: np.ndarray, folder: Path, name: str) -> Path:
    """Write grey pixels (height, width) uint8 as the PNG file folder/name, whole or not at all; return the folder.

    Where the folder can't be made or written, a new temporary folder takes its place, and a line says so; pass the returned
    folder the next time.
    """
    folder = Path(folder)
    try:
        _write_png(pixels, folder, name)
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix=f"{folder.name}-"))
        _write_png(pixels, folder, name)
        print(f"The folder for pictures can't be written ({error.strerror or error}). They go to {folder} instead.")
    return folder


class Progress:
    """One line that tells how far a long piece of work is, refreshed at most four times a second.

    >>> progress = Progress(300, "training")
    >>> for step in range(300):
    ...     progress.update(step + 1, f"loss {loss:.3f}")
    >>> progress.close("300 steps")        # what stays in the notebook
    """

    def __init__(self, total: int, label: str) -> None:
        self.total, self.label = total, label
        self.start = self.shown = time.perf_counter()
        self.handle = None
        if get_ipython() is not None:  # plain Python has no line that could be replaced: it prints the last one
            self.handle = display({"text/plain": f"{label} …"}, raw=True, display_id=True)

    @property
    def seconds(self) -> float:
        """Seconds since the work began."""
        return time.perf_counter() - self.start

    def update(self, done: int, text: str = "") -> None:
        """Say that `done` of `total` is done, with the time that is left."""
        now = time.perf_counter()
        if now - self.shown >= 0.25:
            self.shown = now
            left = (now - self.start) / max(done, 1) * (self.total - done)
            self._replace(f"{done:,} of {self.total:,}, {left:.0f} s left  {text}")

    def close(self, text: str) -> None:
        """Replace the line by `text`, which stays."""
        self._replace(text)
        if self.handle is None:
            print(f"{self.label}: {text}")

    def _replace(self, text: str) -> None:
        if self.handle is not None:
            self.handle.update({"text/plain": f"{self.label}: {text}"}, raw=True)


def _without_channel(images: np.ndarray, axes: int) -> np.ndarray:
    """Images without their last axis if it is one of length 1 that follows the first `axes`."""
    return images[..., 0] if images.shape[axes:] == (1,) else images


def _grid(rows, captions, *, title, limits, size, labels=(), scale="all", signed=False, frame=True) -> Figure:
    """A grid of pictures, drawn but not shown; the arguments are those of `image_rows`."""
    everything = [picture for row in rows for picture in row]
    captions = [""] * len(everything) if captions is None else list(captions)
    if len(captions) != len(everything):
        raise ValueError(f"expected {len(everything)} captions, one for each picture, got {len(captions)}")
    labels = list(labels) or [""] * len(rows)
    margin = max(0.075 * len(line) + 0.15 if line else 0 for label in labels for line in label.split("\n"))
    above = 0.17 * max(caption.count("\n") + 1 if caption else 0 for caption in captions) + 0.05  # inches, for the captions
    tall = size * max(picture.shape[0] / picture.shape[1] for picture in everything)
    columns = max(map(len, rows))
    width, height = margin + size * columns, (tall + above) * len(rows)
    widths = [max(margin, 1e-3), *[size] * columns]
    look = {"figsize": (width, height), "subplot_kw": {"xticks": [], "yticks": [], "frame_on": False}}
    fig, grid = plt.subplots(len(rows), len(widths), width_ratios=widths, squeeze=False, **look)
    fig.subplots_adjust(left=0, right=1, bottom=0, top=1 - above / height, wspace=0.07, hspace=above / tall)
    fig.suptitle(title, y=1, va="bottom")  # above all captions; `show` saves what lies outside too
    remaining = iter(captions)
    for row, places, label in zip(rows, grid, labels):
        places[0].text(0, 0.5, label, va="center", fontsize=9)
        for picture, place in zip(row, places[1:]):
            together = everything if scale == "all" else [picture]
            low, high = limits or (min(map(np.min, together)), max(map(np.max, together)))
            cmap = "gray_r"
            if signed and picture.min() < 0:
                cmap, high = "RdBu_r", max(high, -low)
                low = -high
            place.imshow(picture, cmap=cmap, vmin=low, vmax=high)
            place.set_title(next(remaining), fontsize=8, fontweight="normal", pad=2)
            if frame:
                place.set_frame_on(True)
                place.spines[:].set(visible=True, color="0.8", linewidth=0.6)
    return fig


def _png(fig: Figure) -> bytes:
    """The figure as a PNG of at most 128 colours: a third of the size, and no difference that the eye finds."""
    picture, smaller = io.BytesIO(), io.BytesIO()
    fig.savefig(picture, format="png", bbox_inches="tight")
    with Image.open(picture) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(smaller, format="png", optimize=True)
    return smaller.getvalue()


def _write_png(pixels: np.ndarray, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.{uuid.uuid4().hex}.part"  # another kernel may be writing the same file
    try:
        Image.fromarray(pixels).save(temporary, format="png")
        os.replace(temporary, folder / name)
    finally:
        temporary.unlink(missing_ok=True)
