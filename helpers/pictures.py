"""Any picture of a digit, read and centred as MNIST's are.

    >>> prepare("photo.jpg")            # (28, 28) float32: 0 is paper, 1 is ink

Three steps: `read` gives colours, whatever the file or array was; `find_ink` tells ink from paper, be it dark on light, light on
dark, faint, noisy or unevenly lit; `centre` scales the ink into a box of 20 by 20 and moves its centre of mass to the middle.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

LONGEST_SIDE = 192  # pictures are reduced to this before the ink is looked for: smaller is faster, and averages noise away
FAINTEST = 0.03  # the least difference between ink and paper that counts, as a part of the whole range from black to white
MOST_PIXELS = 100_000_000
BEND = 0.002  # how unwillingly the surface that stands for the paper bends


class PictureError(ValueError):
    """This is not a picture in which a digit can be read; the message says why, and what was expected."""


def prepare(picture: Any) -> np.ndarray:
    """Turn a picture of one digit (path, PIL image or array) into MNIST's form: (28, 28) float32, 0 for paper to 1 for ink.

    Raises PictureError if it can't be read or nothing is drawn in it.
    """
    return centre(find_ink(read(picture)))


def read(picture: Any) -> np.ndarray:
    """The colours of a picture, (height, width, 3) in [0, 1], at most LONGEST_SIDE on a side; transparency shows paper behind.

    Takes a path, a PIL image, or an array of shape (h, w), (h, w, 1), or (h, w, 2, 3 or 4) with the last channel of 2 and 4 as
    opacity; bool, whole numbers of 8 or 16 bits, or floats in 0..1 or 0..255. Raises PictureError.
    """
    from PIL import Image

    if isinstance(picture, (str, os.PathLike)):
        values = _from_file(os.fspath(picture))
    elif isinstance(picture, Image.Image):
        values = _from_image(picture)
    elif isinstance(picture, (np.ndarray, list, tuple)) or hasattr(picture, "__array__"):
        values = _from_array(picture)
    else:
        raise PictureError(f"expected a path, a PIL image or an array, got {type(picture).__name__}")
    if min(values.shape[:2]) < 5:
        raise PictureError(f"expected a picture of at least 5 by 5 pixels, got {values.shape[1]} by {values.shape[0]}")
    if max(values.shape[:2]) < 10:
        raise PictureError(f"too small to be read: expected 10 pixels at least, got {values.shape[1]} by {values.shape[0]}")
    values = _reduce(values)
    if values.shape[2] in (1, 3):
        return np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values
    colour, opacity = np.broadcast_to(values[..., :-1], (*values.shape[:2], 3)), values[..., -1:]
    on_white = colour * opacity + (1 - opacity)
    # White ink on a transparent ground would vanish on white paper: then the paper is black.
    return on_white if np.ptp(on_white, axis=(0, 1)).max() >= FAINTEST else colour * opacity


def find_ink(colours: np.ndarray) -> np.ndarray:
    """Tell ink from paper: (height, width, 3) colours to an array of 0, paper, to 1, ink. Raises PictureError if blank.

    Evenly coloured paper gets a margin, so the result may be larger than the picture.
    Paper is what a smooth surface, fitted to the picture and mostly to its rim, passes through; ink is what departs from it.
    """
    colours = _with_margin(np.asarray(colours, float))
    departure = colours - _paper(colours)
    strength = np.linalg.norm(np.stack([_blur(departure[..., c]) for c in range(3)], axis=-1), axis=2)
    strongest = strength >= 0.5 * _high(strength)
    direction = departure[strongest].mean(axis=0)
    ink = departure @ (direction / (np.linalg.norm(direction) + 1e-12))  # a signed distance: the noise doesn't add up
    smooth = _blur(ink)
    level = _high(smooth)
    # The paper's unrest, told by the smaller of two: in a tight crop the ink disturbs the first, on a small picture the second.
    steps = np.abs(np.diff(ink, axis=1))
    noise = 1.4826 * min(np.median(np.abs(ink - np.median(ink))), np.median(steps) / np.sqrt(2))
    if level < max(FAINTEST, 2 * noise):
        raise PictureError("the picture is blank: nothing stands out from the paper")
    # Clean pictures keep their soft edges; in noisy ones the blurred ink decides.
    shown = ink if noise < 0.08 * level else smooth
    peak = np.median(shown[smooth >= 0.6 * level])
    body = _large_parts(smooth > 0.45 * level) if noise >= 0.02 * level else _large_parts(ink > 0.25 * level)
    if not body.any():
        raise PictureError("the picture is blank: only specks stand out from the paper")
    floor = min(3 * noise / peak, 0.4) if noise >= 0.02 * level else 0.0
    ink = np.clip((shown / peak - floor) / (1 - floor), 0, 1)
    return np.where(_grow(body), ink, 0.0)


def centre(ink: np.ndarray, box: int = 20, size: int = 28) -> np.ndarray:
    """Scale the ink into a box of 20 by 20 and put its centre of mass in the middle of 28 by 28 pixels, as MNIST was made.

    Strokes thinner than MNIST's are thickened first, or they would fade. Raises PictureError if there is no ink.
    """
    from PIL import Image, ImageFilter

    ink = np.asarray(ink, np.float32)
    rows, columns = (np.flatnonzero((ink > 0.1).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise PictureError("the picture is blank: there is no ink to centre")
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = box / max(ink.shape)
    missing = (2.0 / scale - _stroke(ink > 0.4)) / 2  # MNIST's strokes are two pixels wide or more
    image = Image.fromarray(ink)
    if scale < 1 and missing >= 1:
        margin = int(np.ceil(missing))
        wide = Image.fromarray(np.uint8(255 * np.pad(ink, margin))).filter(ImageFilter.MaxFilter(2 * int(round(missing)) + 1))
        image = Image.fromarray(np.asarray(wide, np.float32) / 255)
        scale = box / max(image.size)
    width, height = (max(1, round(scale * side)) for side in image.size)
    if scale != 1:
        image = image.resize((width, height), Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)
    small = np.asarray(image)
    small = np.clip(small / max(np.quantile(small[small > 0.1], 0.9), 1e-6), 0, 1) if scale < 1 else np.clip(small, 0, 1)
    mass = small.sum()
    top = round(size / 2 - float((small.sum(axis=1) * np.arange(height)).sum() / mass))
    left = round(size / 2 - float((small.sum(axis=0) * np.arange(width)).sum() / mass))
    top, left = min(max(top, 0), size - height), min(max(left, 0), size - width)
    centred = np.zeros((size, size), np.float32)
    centred[top : top + height, left : left + width] = small
    return centred


def _from_file(path: str) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return _from_image(image)
    except FileNotFoundError:
        raise PictureError(f"{path}: expected a picture, but there is no such file") from None
    except IsADirectoryError:
        raise PictureError(f"{path}: expected a picture, but this is a folder") from None
    except UnidentifiedImageError:
        raise PictureError(f"{path}: expected a picture (PNG, JPEG, …), but this file holds none") from None
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from None
    except Image.DecompressionBombError:
        raise PictureError(f"{path}: expected at most {MOST_PIXELS:,} pixels, got more") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises on damaged files
        raise PictureError(f"{path}: expected a whole picture, but the file is damaged: {error}") from None


def _from_image(image: Any) -> np.ndarray:
    from PIL import ImageOps

    if image.width * image.height > MOST_PIXELS:
        raise PictureError(f"expected at most {MOST_PIXELS:,} pixels, got {image.width} by {image.height}")
    if 0 in image.size:
        raise PictureError(f"expected a picture with pixels, got {image.width} by {image.height}")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        return _from_array(np.asarray(image))
    if image.mode in ("P", "PA", "LA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        return np.asarray(image.convert("RGBA"), np.float32) / 255
    image = image.convert("L" if image.mode in ("1", "L") else "RGB")
    return np.asarray(image, np.float32).reshape(image.height, image.width, -1) / 255


def _from_array(picture: Any) -> np.ndarray:
    try:
        array = np.asarray(picture)
    except ValueError:
        raise PictureError("expected an array with rows of equal length, got rows of different lengths") from None
    if array.dtype.kind not in "buif":
        raise PictureError(f"expected an array of numbers, got {array.dtype}")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise PictureError(f"expected an array of shape (height, width) or (height, width, 1 to 4), got {np.shape(picture)}")
    if array.shape[0] * array.shape[1] > MOST_PIXELS or 0 in array.shape:
        raise PictureError(f"expected a picture of 5 by 5 up to {MOST_PIXELS:,} pixels, got {array.shape[1]} by {array.shape[0]}")
    if not np.isfinite(array).all():
        raise PictureError("expected finite numbers, got NaN or infinity")
    kind, values = array.dtype, array.astype(np.float32)
    values -= min(values.min(), 0)
    highest = {"u1": 255, "u2": 65535, "i2": 32767}.get(kind.str[1:]) if kind.kind in "ui" else 1 if kind.kind == "b" else None
    if highest is None:  # wider numbers and floats don't tell their range; a little noise may lead beyond it
        largest = float(values.max())
        ranges = (limit for limit in (255, 65535) if largest <= 1.5 * limit)
        highest = max(1.0, largest) if largest <= 4 else next(ranges, largest)
    return values / np.float32(highest)


def _reduce(values: np.ndarray) -> np.ndarray:
    """At most LONGEST_SIDE on a side, by averaging."""
    from PIL import Image

    scale = LONGEST_SIDE / max(values.shape[:2])
    if scale >= 1:
        return values
    size = [max(5, round(scale * side)) for side in values.shape[1::-1]]
    channels = [Image.fromarray(np.ascontiguousarray(channel)) for channel in np.moveaxis(values, 2, 0)]
    return np.stack([np.asarray(channel.resize(size, Image.Resampling.BOX)) for channel in channels], axis=-1)


def _paper(colours: np.ndarray) -> np.ndarray:
    """The paper's colour everywhere: a quadratic surface, by least absolute differences, mostly on the rim."""
    height, width, _ = colours.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    values = colours.reshape(-1, 3)
    rim = (np.maximum(np.abs(x), np.abs(y)) > 0.8).reshape(-1)
    trust = np.where(rim, 3.0, 1.0)
    flat = np.median(values[rim], axis=0)  # first guess: evenly lit
    distance = np.linalg.norm(values - flat, axis=1)
    for _ in range(15):
        weights = trust / (distance + 0.01)
        stiff = BEND * weights.sum() * np.diag([0, 1, 1, 1, 1, 1])  # bends only as far as the paper makes it
        moments = terms.T @ (weights[:, None] * terms) + stiff
        surface = np.linalg.solve(moments, terms.T @ (weights[:, None] * values))
        distance = np.linalg.norm(values - terms @ surface, axis=1)
    return (terms @ surface).reshape(height, width, 3)


def _with_margin(colours: np.ndarray) -> np.ndarray:
    """The picture with a margin of its paper, where that is clean and even: a digit cut out tightly needs paper around it."""
    codes = (np.clip(colours, 0, 0.999) * 8).astype(int) @ [64, 8, 1]
    values, counts = np.unique(codes, return_counts=True)
    if counts.max() < 0.3 * codes.size or np.median(np.abs(np.diff(colours, axis=1))) > 0.02:
        return colours
    margin = max(4, max(codes.shape) // 10)
    wide = np.empty((codes.shape[0] + 2 * margin, codes.shape[1] + 2 * margin, 3))
    wide[:] = np.median(colours[codes == values[counts.argmax()]], axis=0)
    wide[margin:-margin, margin:-margin] = colours
    return wide


def _blur(ink: np.ndarray) -> np.ndarray:
    """The mean over 3 by 3 pixels, with the rim repeated."""
    wide = np.pad(ink, 1, mode="edge")
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9


def _high(values: np.ndarray) -> float:
    """A value that only a few pixels exceed, so few that the smallest digit has more."""
    count = max(4, values.size // 2500)
    return float(np.partition(values, -count, axis=None)[-count])


def _grow(mask: np.ndarray) -> np.ndarray:
    """The mask and its neighbours."""
    return _blur(mask.astype(float)) > 0.01


def _stroke(mask: np.ndarray) -> float:
    """The mean width of the strokes: twice the area over the length of the outline."""
    wide = np.pad(mask, 1).astype(int)
    outline = np.abs(np.diff(wide, axis=0)).sum() + np.abs(np.diff(wide, axis=1)).sum()
    return 2 * mask.sum() / max(outline, 1) * 1.15  # the outline runs along pixels, a little longer than the true one


def _large_parts(mask: np.ndarray) -> np.ndarray:
    """The connected parts that are not specks: at least a tenth of the largest, which has four pixels or more."""
    height, width = mask.shape
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    parts = []
    while left:
        seed = left.pop()
        part, stack = [seed], [seed]
        while stack:
            row, column = stack.pop()
            for near in ((row + dy, column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
                if near in left:
                    left.remove(near)
                    part.append(near)
                    stack.append(near)
        parts.append(part)
    kept = np.zeros_like(mask)
    largest = max(map(len, parts), default=0)
    for part in parts:
        if largest >= 4 and len(part) >= 0.1 * largest:
            kept[tuple(np.transpose(part))] = True
    return kept
