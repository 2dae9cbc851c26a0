"""The figures that two notebooks share, one way to show any figure with its alt text, and a line of live progress."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers import data

# Okabe and Ito's colours (2008), told apart by the colour-blind; each comes with a dash of its own, for greyscale.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (8, 3)), (0, (1, 1)))
plt.rcParams.update(
    {
        "axes.prop_cycle": plt.cycler(color=COLOURS) + plt.cycler(linestyle=DASHES),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "figure.facecolor": "white",
        "figure.dpi": 100,
        "font.size": 10,
        "image.cmap": "gray_r",
        "legend.frameon": False,
    }
)


def show(fig: Figure, alt: str) -> None:
    """Display `fig` as a PNG that carries `alt`, the sentence for those who can't see it, and close the figure.

    Raises ValueError if `alt` is empty.
    """
    if not alt.strip():
        raise ValueError("expected alt, a sentence that says what the figure shows, got an empty text")
    if data.figure_note:
        fig.text(0.995, 0.005, data.figure_note, ha="right", va="bottom", fontsize=8, style="italic")
    picture = io.BytesIO()
    fig.savefig(picture, format="png", bbox_inches="tight")
    plt.close(fig)
    display(
        {"image/png": base64.b64encode(_fewer_colours(picture)).decode(), "text/plain": alt},
        metadata={"image/png": {"alt": alt}},
        raw=True,
    )


def plot_lines(
    x: Sequence[float] | np.ndarray,
    lines: Mapping[str, Sequence[float] | np.ndarray],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    alt: str | None = None,
    log: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw one line for each entry of `lines` (label: values) over `x`, and show it, unless `ax` is given to draw on.

    `log` names the logarithmic axes: "", "x", "y" or "xy". NaN leaves a gap.
    """
    if ax is None and alt is None:
        raise ValueError("expected alt, a sentence that says what the figure shows, got None")
    axes = ax if ax is not None else plt.subplots(figsize=(7, 3.6))[1]
    for label, values in lines.items():
        if len(values) != len(x):
            raise ValueError(f"expected {len(x)} values for the line {label!r}, one for each x, got {len(values)}")
        axes.plot(x, values, label=label)
    for letter in log:
        axes.set(**{f"{letter}scale": "log"})
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.grid(alpha=0.25, linewidth=0.6, linestyle="-")
    if len(lines) > 1:
        axes.legend()
    if ax is None:
        show(axes.figure, alt)
    return axes


def plot_images(
    images: np.ndarray,
    captions: Sequence[str] | None = None,
    *,
    title: str,
    alt: str,
    columns: int = 10,
    limits: tuple[float, float] | None = None,
    cmap: str = "gray_r",
    size: float = 0.85,
) -> None:
    """Show pictures (n, height, width) or (n, height, width, 1) in a grid, ink dark on light, each with its caption.

    All share one scale: `limits` (darkest and lightest value), or the least and the greatest value in `images`.
    `size` is the width of one picture in inches.
    """
    images = np.asarray(images)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim != 3 or len(images) == 0:
        raise ValueError(f"expected pictures of shape (n, height, width), got {images.shape}")
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"expected {len(images)} captions, one for each picture, got {len(captions)}")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    low, high = limits if limits is not None else (images.min(), images.max())
    lines = max((caption.count("\n") + 1 for caption in captions), default=0) if captions is not None else 0
    fig, grid = plt.subplots(rows, columns, figsize=(size * columns, (size + 0.17 * lines) * rows + 0.35), squeeze=False)
    for cell, place in enumerate(grid.flat):
        place.axis("off")
        if cell < len(images):
            place.imshow(images[cell], cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
            if captions is not None:
                place.set_title(captions[cell], fontsize=8, fontweight="normal", pad=2)
    fig.suptitle(title, fontsize=11, fontweight="bold")
    fig.tight_layout(pad=0.3)
    show(fig, alt)


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
        self.handle = display(self._text(f"{label} …"), raw=True, display_id=True)

    @property
    def seconds(self) -> float:
        """Seconds since the work began."""
        return time.perf_counter() - self.start

    def update(self, done: int, text: str = "") -> None:
        """Say that `done` of `total` is done, with the time that is left."""
        now = time.perf_counter()
        if now - self.shown < 0.25 or self.handle is None:
            return
        self.shown = now
        left = (now - self.start) / max(done, 1) * (self.total - done)
        self.handle.update(self._text(f"{self.label}: {done:,} of {self.total:,}, {left:.0f} s left  {text}"), raw=True)

    def close(self, text: str) -> None:
        """Replace the line by `text`, which stays."""
        if self.handle is not None:
            self.handle.update(self._text(f"{self.label}: {text}"), raw=True)

    @staticmethod
    def _text(text: str) -> dict[str, str]:
        return {"text/plain": text}


def _fewer_colours(picture: io.BytesIO) -> bytes:
    """The same PNG with at most 128 colours: a third of its size, and no difference that the eye finds."""
    from PIL import Image

    smaller = io.BytesIO()
    with Image.open(picture) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(smaller, format="png", optimize=True)
    return smaller.getvalue()
