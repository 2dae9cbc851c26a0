"""Drawings that explain: a network of layers, a recurrence unrolled in time, a landscape of the loss, a window
that slides over an image, the two halves of a GAN's training step.

Each returns a figure for `helpers.plotting.show(figure, alt)`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.plotting import COLOURS

BACKWARD = COLOURS[1]  # the colour of what flows backwards, or is marked
CENTRED = {"ha": "center", "va": "center"}
PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1}


def draw_layers(
    layers: Mapping[str, int],
    *,
    headings: Sequence[str] = (),
    captions: Sequence[str] = (),
    marked: Collection[tuple[int, int, int]] = (),
    values: Sequence[np.ndarray | None] = (),
    weights: Sequence[np.ndarray] = (),
    deltas: Sequence[np.ndarray | None] = (),
    gradients: Sequence[np.ndarray] = (),
    target: str = "",
    title: str = "",
) -> Figure:
    """A network as columns of nodes, layer after layer (name: number of nodes), every node joined to every next one.

    `headings` stand above the layers, `captions` below the bundles of arrows between them. `marked` arrows are thick:
    (bundle, to, from), so that (0, 0, 2) is entry [0, 2] of the first weight matrix. Numbers, if given: in the nodes
    `values`, one array a layer (None: none); on the arrows `weights`, one matrix (to, from) a bundle; slanted below these,
    `deltas` (one array a layer) and `gradients` (one matrix a bundle). `target` stands beside the last layer.

    Raises ValueError if numbers do not fit the layers.
    """
    counts = list(layers.values())
    width, height, radius = (4.0, 2.4, 0.42) if len(values) or len(weights) else (3.4, 1.0, 0.28)
    vectors, matrices = [(count,) for count in counts], list(zip(counts[1:], counts))
    values, deltas = _fit("values", values, vectors), _fit("deltas", deltas, vectors)
    weights, gradients = _fit("weights", weights, matrices), _fit("gradients", gradients, matrices)
    places = [[(width * k, height * ((count - 1) / 2 - i)) for i in range(count)] for k, count in enumerate(counts)]
    top, right = height * (max(counts) - 1) / 2, width * (len(counts) - 1)

    fig, ax = plt.subplots(figsize=(right + 1.6, 0.85 * (2 * top + 2.2)))
    for k, (before, after) in enumerate(zip(places, places[1:])):
        for i, start in enumerate(before):
            for j, end in enumerate(after):
                thick = (k, j, i) in marked
                _arrow(ax, start, end, colour=BACKWARD if thick else "0.6", width=2.2 if thick else 0.9, shrink=radius)
                along = 0.5 if i == j or 1 in (len(before), len(after)) else 0.72  # not where two arrows cross
                x, y = start[0] + along * (end[0] - start[0]), start[1] + along * (end[1] - start[1])
                if weights[k] is not None:
                    ax.text(x, y + 0.16, f"{weights[k][j, i]:.3g}", weight="bold", bbox=PAPER, **CENTRED)
                if gradients[k] is not None:
                    _backward(ax, x, y - 0.16, f"{gradients[k][j, i]:+.4f}")
    for k, (name, column) in enumerate(zip(layers, places)):
        for i, (x, y) in enumerate(column):
            text = f"${name}_{{{i}}}$" if values[k] is None else f"{values[k][i]:.4g}"
            ax.add_patch(plt.Circle((x, y), radius, facecolor="white", edgecolor="black", linewidth=1.4, zorder=2))
            ax.text(x, y, text, zorder=3, **CENTRED)
            if deltas[k] is not None:
                _backward(ax, x, y - radius - 0.2, f"{deltas[k][i]:+.4f}")
    for k, heading in enumerate(headings):
        ax.text(width * k, top + radius + 0.25, heading, ha="center", va="bottom", weight="bold")
    for k, caption in enumerate(captions):
        ax.text(width * (k + 0.5), -top - radius - 0.35, caption, ha="center", va="top")
    ax.text(right + radius + 0.2, places[-1][0][1], target, va="center")
    lines = max((caption.count("\n") + 1 for caption in captions), default=0)
    below = radius + 0.1 + (0.4 + 0.35 * lines if lines else 0.3 * any(delta is not None for delta in deltas))
    above = radius + (0.65 if headings else 0.1)
    ax.set(xlim=(-0.7, right + 0.7 + 0.13 * len(target)), ylim=(-top - below, top + above), aspect="equal", title=title)
    ax.axis("off")
    return fig


def draw_unrolled(steps: int = 4, *, backward: bool = False) -> Figure:
    """The recurrence h_t = W x_t + U h_(t-1) + b as a chain of `steps` steps; with `backward`, how the error flows back."""
    fig, ax = plt.subplots(figsize=(1.7 * steps + 0.8, 3.3 if backward else 2.6))
    for t in range(steps + 1):
        ax.add_patch(plt.Circle((2 * t, 0), 0.42, facecolor="#e8eef4" if t else "white", edgecolor="black"))
        ax.text(2 * t, 0, f"$h_{{{t}}}$" if t else "$0$", fontsize=14, **CENTRED)
    for t in range(1, steps + 1):
        x = 2 * t
        _arrow(ax, (x - 2, 0), (x, 0), shrink=0.45)
        ax.text(x - 1, 0.25, "$U$", fontsize=12, **CENTRED)
        _arrow(ax, (x, -1.5), (x, -0.45))
        ax.text(x - 0.26, -1, "$W$", fontsize=12, **CENTRED)
        ax.text(x, -1.75, f"$x_{{{t}}}$", fontsize=14, **CENTRED)
        if not backward:
            ax.text(x + 0.38, -0.62, "$+\\,b$", fontsize=11)
            continue
        _arrow(ax, (x, 1.45), (x, 0.45), colour=BACKWARD, dash="--")
        ax.text(x, 1.7, f"$h_{{{t}}} - y_{{{t}}}$", fontsize=12, color=BACKWARD, **CENTRED)
        if t > 1:
            _arrow(ax, (x - 0.5, -0.22), (x - 1.5, -0.22), colour=BACKWARD, dash="--")
            ax.text(x - 1, -0.5, "$U$", fontsize=12, color=BACKWARD, **CENTRED)
    ax.set(xlim=(-0.6, 2 * steps + 1), ylim=(-2, 2 if backward else 0.7), aspect="equal")
    ax.axis("off")
    return fig


def draw_landscape(
    x: np.ndarray,
    y: np.ndarray,
    loss: np.ndarray,
    walks: Mapping[str, np.ndarray],
    *,
    goal: tuple[float, float],
    title: str,
    xlabel: str,
    ylabel: str,
) -> Figure:
    """Contours of a positive loss of two numbers, and how walks go over them to a star at the goal.

    x (n,), y (m,): the axes. loss: (m, n), drawn on a logarithmic scale. walks (label: places (steps, 2)): a mark stands at
    every tenth step.

    Raises ValueError if the loss does not fit the axes or is not positive.
    """
    loss = np.asarray(loss)
    if loss.shape != (len(y), len(x)) or not (loss > 0).all():
        raise ValueError(f"expected a positive loss of shape {(len(y), len(x))}, got shape {loss.shape}, least {loss.min():g}")
    fig, ax = plt.subplots(figsize=(8, 4.8))
    height = np.log10(loss)
    levels = np.arange(np.floor(2 * np.percentile(height, 0.1)) / 2, height.max() + 0.5, 0.5)
    filled = ax.contourf(x, y, height, levels, cmap="Blues_r", extend="both")
    ax.contour(x, y, height, levels, colors="white", linewidths=0.5, linestyles="solid")
    for (label, walk), colour, marker in zip(walks.items(), COLOURS[1:], "o^sDv"):
        ax.plot(*np.transpose(walk), color=colour, marker=marker, markevery=10, markersize=5, linewidth=1.8, label=label)
    ax.plot(*goal, "*", color="white", markersize=17, markeredgecolor="black", linestyle="none")
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel, xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    ax.legend(loc="lower left", frameon=True)
    fig.colorbar(filled, label="log10 of the loss")
    return fig


def draw_window(image: np.ndarray, kernel: np.ndarray, feature_map: np.ndarray, stops: Sequence[tuple[int, int]]) -> Figure:
    """A convolution in slow motion: the image, the window at each of `stops` times the kernel, and the feature map.

    image: (height, width) in [0, 1]. kernel: (kh, kw). feature_map: (height - kh + 1, width - kw + 1), the weighted sum at
    each place of the window. stops: up to five places (row, column) of the feature map.

    Raises ValueError if a stop lies outside the feature map.
    """
    kh, kw = kernel.shape
    fig = plt.figure(figsize=(9, 0.5 + 1.4 * len(stops)))
    grid = fig.add_gridspec(len(stops), 5, width_ratios=[3, 1, 1, 0.8, 3], wspace=0.3, hspace=0.35)
    left, right = fig.add_subplot(grid[:, 0]), fig.add_subplot(grid[:, 4])
    left.imshow(image, vmin=0, vmax=1)
    left.set_title("image")
    limit = np.abs(feature_map).max()
    right.imshow(feature_map, cmap="RdBu_r", vmin=-limit, vmax=limit)
    right.set_title("feature map")
    for place in (left, right):
        place.set(xticks=[], yticks=[])
        place.spines[:].set(visible=True, color="0.7")
    largest = np.abs(kernel).max()
    for row, ((i, j), letter) in enumerate(zip(stops, "abcde", strict=False)):
        if not (0 <= i < feature_map.shape[0] and 0 <= j < feature_map.shape[1]):
            raise ValueError(f"expected stops inside the feature map {feature_map.shape}, got {(int(i), int(j))}")
        left.add_patch(plt.Rectangle((j - 0.5, i - 0.5), kw, kh, fill=False, edgecolor=BACKWARD, linewidth=2))
        left.text(j + kw + 0.2, i + kh / 2, letter, color=BACKWARD, weight="bold", bbox={**PAPER, "alpha": 0.8})
        right.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=2))
        result = f"{feature_map[i, j] + 0:.1f}".replace("-", "−")
        x, side = (j + 1.2, "left") if j < feature_map.shape[1] / 3 else (j - 1.2, "right")
        right.text(x, i + 0.4, f"{letter}: {result}", ha=side, weight="bold", fontsize=8, bbox={**PAPER, "alpha": 0.8})
        _numbers(fig.add_subplot(grid[row, 1]), image[i : i + kh, j : j + kw], f"{letter}: window", "gray_r", (0, 1))
        _numbers(fig.add_subplot(grid[row, 2]), kernel, "× kernel", "RdBu_r", (-largest, largest))
        equals = fig.add_subplot(grid[row, 3])
        equals.text(0.5, 0.5, f"= {result}", fontsize=12, **CENTRED)
        equals.axis("off")
    return fig


def draw_gan() -> Figure:
    """The two halves of a GAN's training step side by side: what goes forward, and which network each half updates.

    The network that is updated is filled. Dashed arrows follow the gradient of the loss back to it.
    """
    fig, axes = plt.subplots(1, 2, figsize=(11, 2.9))
    for ax, name, updated in zip(axes, ("discriminator", "generator"), "DG"):
        for place, letter in ((2, "G"), (6, "D")):
            box = plt.Rectangle((place - 0.6, -0.6), 1.2, 1.2, facecolor="white", edgecolor="black", linewidth=1.4)
            if letter == updated:
                box.set(facecolor="#fbe3d3", linewidth=2.2)
            ax.add_patch(box)
            ax.text(place, 0, f"${letter}$", fontsize=16, **CENTRED)
        for place, text in ((0, "$z$"), (4, "generated\nimages"), (8, "loss")):
            ax.text(place, 0, text, fontsize=14 if place == 0 else 11, **CENTRED)
        for start, end in ((0.3, 1.4), (2.6, 3.1), (4.9, 5.4), (6.6, 7.5)):
            _arrow(ax, (start, 0), (end, 0))
        _arrow(ax, (7.7, -0.45), (6.7, -0.45), colour=BACKWARD, dash="--")
        if updated == "D":
            ax.text(4, 1.3, "real images", fontsize=11, **CENTRED)
            _arrow(ax, (4.95, 1.2), (5.4, 0.5))
        else:
            _arrow(ax, (5.3, -0.45), (2.7, -0.45), colour=BACKWARD, dash="--")
        ax.text(2 if updated == "G" else 6, -1.0, "updated", fontsize=11, color=BACKWARD, style="italic", **CENTRED)
        ax.set(xlim=(-0.4, 8.6), ylim=(-1.3, 1.7), aspect="equal", title=f"{name} step")
        ax.axis("off")
    fig.tight_layout()
    return fig


def _numbers(ax: Axes, values: np.ndarray, title: str, cmap: str, limits: tuple[float, float]) -> None:
    """A small table of numbers, each on its shade."""
    ax.imshow(values, cmap=cmap, vmin=limits[0], vmax=limits[1])
    for (i, j), value in np.ndenumerate(values):
        colour = "white" if abs(value) > 0.6 * limits[1] else "black"
        text = (f"{value:.0f}" if value == round(value) else f"{value:.1f}").replace("-", "−")
        ax.text(j, i, text, fontsize=8, color=colour, **CENTRED)
    ax.set_title(title, fontsize=9, fontweight="normal", pad=3)
    ax.axis("off")


def _arrow(ax, start, end, *, colour="black", width=1.4, dash="-", shrink=0.0) -> None:
    """An arrow from `start` to `end`, shortened by `shrink` at both."""
    start, end = np.array(start, float), np.array(end, float)
    gap = shrink * (end - start) / np.linalg.norm(end - start)
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "linestyle": dash, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end - gap, start + gap, arrowprops=style)


def _backward(ax: Axes, x: float, y: float, text: str) -> None:
    """A number of the backward pass: slanted, and in its own colour."""
    ax.text(x, y, text, color=BACKWARD, style="italic", bbox=PAPER, **CENTRED)


def _fit(name: str, arrays: Sequence[np.ndarray | None], shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray | None]:
    """One array or None for each of `shapes`; no arrays at all are as many None. Raises ValueError if one does not fit."""
    arrays = list(arrays) or [None] * len(shapes)
    came = [None if array is None else np.shape(array) for array in arrays]
    if len(came) != len(shapes) or any(c not in (None, shape) for c, shape in zip(came, shapes)):
        raise ValueError(f"expected {name} of shapes {list(shapes)}, got {came}")
    return arrays
