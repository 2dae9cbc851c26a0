"""Pictures of digits as people take them: MNIST's digits drawn with pens of any width, on paper, under light, on a desk.

    >>> picture = PHOTOGRAPHS["hard shadow"](digit, np.random.default_rng(0))      # digit: (28, 28) uint8

Each kind is a function of a digit and a random generator, which chooses size, place, pen, colours and light.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.morphology import skeletonize
from skimage.transform import resize

Maker = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def ink_of(digit: np.ndarray, height: int, pen: float | None = None) -> np.ndarray:
    """The digit's ink, 0 to 1, `height` pixels high, with MNIST's strokes or those of a round pen `pen` pixels wide."""
    rows, columns = (np.flatnonzero((digit > 60).any(axis=axis)) for axis in (1, 0))
    cut = np.pad(digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] / 255, 2)
    scale = height / len(rows)
    ink = resize(cut, [round(2 * scale * side) for side in cut.shape], order=3)
    if pen:
        line = skeletonize(ink > 0.45)
        line = ndimage.distance_transform_edt(~line) <= pen
        ink = ndimage.gaussian_filter(line.astype(float), 0.8)
    shape = [max(side // 2, 1) for side in ink.shape]
    return np.clip(resize(ink, shape, order=1, anti_aliasing=True), 0, 1)


def one_pixel(digit: np.ndarray, rng: np.random.Generator | None = None, *, side: int) -> np.ndarray:
    """A clean line, one pixel wide and black on white, in a picture of `side` by `side` pixels: uint8."""
    whole = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC))
    return np.uint8(255 * ~skeletonize(whole > 110))


def smooth_noise(shape: tuple, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """A random field with spots about `sigma` wide, its standard deviation 1."""
    field = ndimage.gaussian_filter(rng.normal(size=shape), sigma)
    return field / field.std()


def slope(shape: tuple, rng: np.random.Generator) -> np.ndarray:
    """A ramp from 0 to 1 across the picture, in any direction."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[: shape[0], : shape[1]]
    ramp = np.cos(angle) * x + np.sin(angle) * y
    return (ramp - ramp.min()) / np.ptp(ramp)


def lines(shape: tuple, gap: float, width: float, tilt: float, rng: np.random.Generator) -> np.ndarray:
    """Parallel lines, 1 on the line to 0 beside it, `tilt` radians from level."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    across = (np.cos(tilt) * y + np.sin(tilt) * x + rng.uniform(0, gap)) % gap
    return np.clip(width / 2 + 0.5 - np.abs(across - gap / 2), 0, 1)


def photograph(
    digit: np.ndarray,
    rng: np.random.Generator,
    *,
    shape: tuple = (300, 400),
    height: tuple = (0.3, 0.6),
    pen: tuple | None = (1.5, 10.0),
    light: float = 0.15,
    corners: float = 0.0,
    under: Callable | None = None,
    over: Callable | None = None,
) -> np.ndarray:
    """A digit on a sheet of paper, photographed: (h, w, 3) uint8.

    `height` is a range of the digit's height as a part of the picture's, `pen` one of the pen's width in pixels (None: MNIST's
    strokes), `light` how far the light falls off across the sheet, `corners` how much darker they are. `under(sheet, rng)`
    changes the sheet before the digit is drawn, `over(sheet, box, rng)` the finished picture; box: top, left, bottom, right.
    """
    paper = rng.uniform(0.78, 0.97) * np.array([1, rng.uniform(0.96, 1), rng.uniform(0.9, 1)])
    colours = [[0.1, 0.1, 0.1], [0.15, 0.2, 0.5], [0.35, 0.35, 0.37], [0.6, 0.12, 0.15]]
    colour = np.array(colours[rng.integers(len(colours))])
    high = max(round(rng.uniform(*height) * shape[0]), 14)
    widest = 0.14 * high
    ink = ink_of(digit, high, None if pen is None else min(rng.uniform(*pen), widest))
    room = [side - own for side, own in zip(shape, ink.shape, strict=True)]
    top, left = (round(rng.uniform(0.15, 0.85) * free) for free in room)
    sheet = np.ones((*shape, 3)) * paper
    if under:
        sheet = under(sheet, rng)
    window = sheet[top : top + ink.shape[0], left : left + ink.shape[1]]
    window += ink[..., None] * (np.minimum(colour, window) - window)
    if over:
        sheet = over(sheet, (top, left, top + ink.shape[0], left + ink.shape[1]), rng)
    y, x = (np.linspace(-1, 1, side) for side in shape)
    fall = 1 - light * slope(shape, rng) - corners * (y[:, None] ** 2 + x**2) / 2
    sheet = sheet * fall[..., None] + 0.006 * smooth_noise(shape, 1.5, rng)[..., None]
    return jpeg(sheet + rng.normal(0, rng.uniform(0.004, 0.015), sheet.shape), rng.integers(70, 95))


def jpeg(sheet: np.ndarray, quality: int) -> np.ndarray:
    """The picture after it was stored as a JPEG: uint8."""
    file = io.BytesIO()
    Image.fromarray(np.uint8(255 * np.clip(sheet, 0, 1))).save(file, "JPEG", quality=int(quality))
    return np.asarray(Image.open(file))


def shadow(blur: float) -> Callable:
    """A shadow over a part of the picture, with an edge `blur` pixels wide."""

    def cast(sheet, box, rng):
        shape = sheet.shape[:2]
        edge = slope(shape, rng) + 0.03 * smooth_noise(shape, 40, rng) * rng.integers(0, 2)
        dark = ndimage.gaussian_filter((edge > rng.uniform(0.25, 0.75)).astype(float), blur)
        return sheet * (1 - rng.uniform(0.2, 0.45) * dark)[..., None]

    return cast


def ruled(strength: tuple, squared: bool, tilt: float = 0.0) -> Callable:
    """Ruled or squared paper; `strength` is a range of how dark the lines are, `tilt` how far they may be turned, in radians."""

    def print_lines(sheet, rng):
        shape, gap, width = sheet.shape[:2], rng.uniform(22, 60), rng.uniform(1, 2.2)
        turn = rng.uniform(-tilt, tilt)
        mask = lines(shape, gap, width, turn, rng)
        if squared:
            mask = np.maximum(mask, lines(shape, gap, width, turn + np.pi / 2, rng))
        tint = np.array([1.0, rng.uniform(0.5, 1), rng.uniform(0.2, 1)])
        return sheet * (1 - rng.uniform(*strength) * mask[..., None] * tint)

    return print_lines


def distances(shape: tuple) -> list[np.ndarray]:
    """How far each pixel lies from the picture's sides: top, left, bottom, right."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return [y, x, shape[0] - 1 - y, shape[1] - 1 - x]


def desk(sheet, box, rng):
    """A table's edge: beyond a line past the digit everything is dark."""
    shape = sheet.shape[:2]
    side, turn = rng.integers(4), rng.uniform(-0.12, 0.12)
    depth = rng.uniform(0.2, 0.7) * [box[0], box[1], shape[0] - box[2], shape[1] - box[3]][side]
    far = distances(shape)
    edge = far[side] + turn * (far[1 - side % 2] - shape[1 - side % 2] / 2)
    return np.where((edge < depth)[..., None], rng.uniform(0.05, 0.45) * np.array([1, 0.9, 0.8]), sheet)


def border(sheet, box, rng):
    """A thin dark line round the picture, or a little inside of it."""
    inset, width = rng.integers(0, 8), rng.integers(1, 5)
    far = np.minimum.reduce(distances(sheet.shape))
    return np.where(((far < inset) | (far >= inset + width))[..., None], sheet, rng.uniform(0.05, 0.4))


def on_a_desk(sheet, box, rng):
    """The whole sheet on a darker desk, with its four corners in the picture."""
    shape = sheet.shape[:2]
    ends = [rng.uniform(0.3, 0.85) * room for room in (box[0], box[1], shape[0] - box[2], shape[1] - box[3])]
    turn = np.tan(rng.uniform(-0.05, 0.05))
    y, x = np.mgrid[: shape[0], : shape[1]]
    y, x = y + turn * (x - shape[1] / 2), x - turn * (y - shape[0] / 2)
    inside = (y > ends[0]) & (x > ends[1]) & (y < shape[0] - ends[2]) & (x < shape[1] - ends[3])
    return np.where(inside[..., None], sheet, rng.uniform(0.1, 0.5) * np.array([1, 0.85, 0.7]))


def away_from(box, size, shape, rng):
    """A place (row, column) for something of `size` pixels clear of the digit and of the rim, or else the corner."""
    for _ in range(200):
        row, column = rng.integers(4, shape[0] - size - 4), rng.integers(4, shape[1] - size - 4)
        gap = 0.5 * (box[2] - box[0])
        if row > box[2] + gap or row + size < box[0] - gap or column > box[3] + gap or column + size < box[1] - gap:
            return row, column
    return 4, 4


def reflection(sheet, box, rng):
    """A bright spot of a lamp on the paper, far from the digit."""
    size = rng.integers(30, 60)
    place = away_from(box, size, sheet.shape, rng)
    y, x = np.mgrid[: sheet.shape[0], : sheet.shape[1]]
    spot = np.hypot(y - place[0] - size / 2, x - place[1] - size / 2) < size / 2
    spot = ndimage.gaussian_filter(spot.astype(float), rng.uniform(1, 6))[..., None]
    return 0.85 * sheet * (1 - spot) + spot


def stamp(sheet, box, rng):
    """A stamp, a ring with a bar in it, far from the digit."""
    size = int(rng.integers(30, 60))
    place = away_from(box, size, sheet.shape, rng)
    mark = np.zeros((size, size), bool)
    y, x = np.mgrid[:size, :size] - size / 2
    mark[(np.hypot(y, x) < size / 2 - 1) & (np.hypot(y, x) > size / 2 - 4)] = True
    mark |= (np.abs(y) < 3) & (np.abs(x) < size / 3)
    if rng.integers(2):
        mark = np.maximum(np.abs(y), np.abs(x)) < size / 2 - 1
    window = sheet[place[0] : place[0] + size, place[1] : place[1] + size]
    window[mark] = rng.uniform(0.1, 0.5, 3)
    return sheet


def beside(digit: np.ndarray, others: list, rng: np.random.Generator) -> np.ndarray:
    """Several digits side by side, black on white with a pen of one width: uint8."""
    high = int(rng.integers(60, 160))
    pen = rng.uniform(2, 0.12 * high)
    gap = np.zeros((2 * high, int(rng.uniform(0.25, 0.8) * high)))
    row = [gap]
    for one in [digit, *others]:
        ink = ink_of(one, high, pen)
        room = len(gap) - len(ink)
        row += [np.pad(ink, [(room // 2, room - room // 2), (0, 0)]), gap]
    return np.uint8(255 * (1 - 0.9 * np.pad(np.concatenate(row, axis=1), 20)))


STROKES: dict[str, Maker] = {
    f"a line of one pixel, {side} by {side}": partial(one_pixel, side=side) for side in (20, 28, 40, 50, 60)
}
PHOTOGRAPHS: dict[str, Maker] = {
    "even light": partial(photograph, light=0.0),
    "light falls off": partial(photograph, light=0.3),
    "light falls off, thin pen": partial(photograph, light=0.25, pen=(1.2, 2.5)),
    "light falls off, MNIST's strokes": partial(photograph, light=0.25, pen=None),
    "dark corners": partial(photograph, corners=0.4),
    "dark corners, thin pen": partial(photograph, corners=0.4, pen=(1.2, 2.5)),
    "small": partial(photograph, shape=(600, 600), height=(0.06, 0.075), pen=(2, 5)),
    "small, light falls off": partial(photograph, shape=(450, 600), height=(0.085, 0.1), light=0.25, pen=None),
    "soft shadow": partial(photograph, over=shadow(25)),
    "hard shadow": partial(photograph, over=shadow(1.5)),
    "hard shadow, MNIST's strokes": partial(photograph, over=shadow(1.5), pen=None),
    "weak ruled lines": partial(photograph, under=ruled((0.05, 0.2), False)),
    "strong ruled lines": partial(photograph, under=ruled((0.3, 0.6), False)),
    "tilted ruled lines": partial(photograph, under=ruled((0.2, 0.5), False, 0.06)),
    "weak squares": partial(photograph, under=ruled((0.05, 0.2), True)),
    "strong squares": partial(photograph, under=ruled((0.3, 0.6), True)),
    "tilted squares": partial(photograph, under=ruled((0.2, 0.5), True, 0.06)),
}
AT_THE_RIM: dict[str, Maker] = {
    "table edge": partial(photograph, over=desk),
    "table edge, pen": partial(photograph, over=desk, pen=(2, 4)),
    "border": partial(photograph, over=border),
    "sheet on a desk": partial(photograph, over=on_a_desk, height=(0.25, 0.45)),
    "reflection": partial(photograph, over=reflection, height=(0.25, 0.4)),
    "stamp": partial(photograph, over=stamp, height=(0.25, 0.4)),
}
