"""Any picture of a digit, read and centred as MNIST's are.

    >>> prepare("photo.jpg")            # (28, 28) float32: 0 is paper, 1 is ink

Three steps: `read` gives colours, whatever the file or array was; `find_ink` tells ink from paper, desk, shadow and ruled lines;
`centre` scales the ink into a box of 20 by 20 pixels and moves its centre of mass to the middle.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import scipy  # these two load their parts when they are first used
import skimage

MOST_PIXELS = 100_000_000
WORKING_PIXELS = 300_000  # larger pictures are reduced to this or a little more before the ink is looked for
FAINTEST = 0.03  # the least difference between ink and paper that counts, as a part of the whole range from black to white
THINNEST = 2.0  # the least width of a stroke in MNIST's pixels
CROP = "crop the picture to the digit, with some paper around it"


class PictureError(ValueError):
    """This is not a picture in which a digit can be read; the message says why, and what was expected."""


def prepare(picture: Any) -> np.ndarray:
    """Turn a picture of one digit (path, PIL image or array) into MNIST's form: (28, 28) float32, 0 for paper to 1 for ink.

    Raises PictureError if it can't be read, nothing is drawn in it, or more than one digit may be meant.
    """
    return centre(find_ink(read(picture)))


def read(picture: Any) -> np.ndarray:
    """The colours of a picture, (height, width, 3) in [0, 1], large ones reduced; transparency shows paper behind.

    Takes a path, a PIL image, or an array of shape (h, w), (h, w, 1), or (h, w, 2, 3 or 4) with the last channel of 2 and 4 as
    opacity; bool, whole numbers of 8 or 16 bits, or floats in 0..1 or 0..255. Raises PictureError.
    """
    from PIL import Image

    if isinstance(picture, (str, os.PathLike)):
        values = _from_file(os.fspath(picture))
    elif isinstance(picture, Image.Image):
        values = _from_image(picture)
    elif isinstance(picture, (list, tuple)) or hasattr(picture, "__array__"):
        values = _from_array(picture)
    else:
        raise PictureError(f"expected a path, a PIL image or an array, got {type(picture).__name__}")
    height, width, channels = values.shape
    if min(height, width) < 5:
        raise PictureError(f"expected a picture of at least 5 by 5 pixels, got {width} by {height}")
    if max(height, width) < 10:
        raise PictureError(f"too small to be read: expected 10 pixels at least, got {width} by {height}")
    if channels in (2, 4):
        colour, opacity = values[..., :-1], values[..., -1:]
        values = colour * opacity + (1 - opacity)
        if np.ptp(values, axis=(0, 1)).max() < FAINTEST:  # white ink on a transparent ground: then the paper is black
            values = colour * opacity
    return np.broadcast_to(values, (height, width, 3))


def find_ink(colours: np.ndarray) -> np.ndarray:
    """Tell ink from paper: (height, width, 3) colours in [0, 1] to the ink, (height, width), 0 for paper to 1 for ink.

    Ink is what is narrow: the difference between a picture and its morphological closing (the black top-hat; see Serra, Image
    Analysis and Mathematical Morphology, 1982), which fills strokes and leaves shadows, desks and uneven light as they are.
    Raises PictureError if nothing stands out, if what does reaches the rim, or if there is more than one digit.
    """
    grey = _in_one_channel(np.asarray(colours, float))
    noise = _noise(grey)
    if noise > 0.02:
        blur = 1.0 if noise < 0.1 else 2.0
        grey = scipy.ndimage.gaussian_filter(grey, blur, mode="nearest")
        noise /= 2 * np.sqrt(np.pi) * blur
    side = min(grey.shape)
    for size, rim in ((side // 4, True), (side // 2, False)):
        depths, middles = zip(*(_depth(sign * grey, max(size, 5), rim) for sign in (1, -1)))
        level = max(map(_high, depths))
        if rim and level < max(FAINTEST, 6 * noise):
            raise PictureError("the picture is blank: nothing stands out from the paper")
        dark, light = (_best_part(*each, level / 2, size) for each in zip(depths, (grey, -grey), middles))
        light_ink = light > dark if rim else light[1] > dark[1]  # cut out tightly: the larger one is the ink
        depth = depths[int(light_ink)]
        if max(dark, light)[2]:
            break
    body = _digit(depth, noise, rim)
    peak = np.median(depth[body])
    floor = min(2 * noise / peak, 0.4)
    ink = np.clip((depth / peak - floor) / (1 - floor), 0, 1)
    return np.where(scipy.ndimage.binary_dilation(body, iterations=2), ink, 0.0).astype(np.float32)


def centre(ink: np.ndarray, box: int = 20, size: int = 28) -> np.ndarray:
    """Scale the ink into a box of 20 by 20 and put its centre of mass in the middle of 28 by 28 pixels, as MNIST was made.

    Strokes thinner than MNIST's are thickened first, or they would fade. Raises PictureError if there is no ink.
    """
    ink = _cut(np.asarray(ink, float))
    scale = box / max(ink.shape)
    fine = 4 * scale  # strokes are measured, and thickened, on pixels a quarter as wide as MNIST's
    large = skimage.transform.resize(ink, [max(round(fine * side), 1) for side in ink.shape], order=1, anti_aliasing=fine < 1)
    if scale > 1:
        large = scipy.ndimage.gaussian_filter(large, fine / 3)
    mask = np.pad(large > 0.5 * large.max(), 8)
    missing = THINNEST * 4 / 2 - scipy.ndimage.distance_transform_edt(mask)[skimage.morphology.skeletonize(mask)].mean()
    if missing > 0:
        ink = _cut(np.clip(missing + 0.5 - scipy.ndimage.distance_transform_edt(~mask), 0, 1))
        scale = box / max(ink.shape)
    ink = skimage.transform.resize(ink, [max(round(scale * side), 1) for side in ink.shape], order=1, anti_aliasing=scale < 1)
    ink = np.clip(ink / np.quantile(ink[ink > 0.1], 0.9), 0, 1)
    middle = scipy.ndimage.center_of_mass(ink)
    starts = [np.clip(round(size / 2 - middle[axis]), 0, size - ink.shape[axis]) for axis in (0, 1)]
    margins = [(start, size - side - start) for start, side in zip(starts, ink.shape)]
    return np.pad(ink, margins).astype(np.float32)


def _cut(ink: np.ndarray) -> np.ndarray:
    """The smallest rectangle that holds the ink."""
    boxes = scipy.ndimage.find_objects((ink > 0.1).astype(int))
    if not boxes:
        raise PictureError("the picture is blank: there is no ink to centre")
    return ink[boxes[0]]


def _in_one_channel(colours: np.ndarray) -> np.ndarray:
    """The colours along the direction in which they differ most from their surroundings (the first principal component)."""
    side = max(min(colours.shape[:2]) // 3, 3)
    local = colours - scipy.ndimage.uniform_filter(colours, (side, side, 0))
    direction = np.linalg.eigh(np.tensordot(local, local, axes=((0, 1), (0, 1))))[1][:, -1]
    direction *= (1 if direction.sum() >= 0 else -1) / np.abs(direction).sum()
    return colours @ direction - direction[direction < 0].sum()  # in [0, 1], as the colours are


def _noise(grey: np.ndarray) -> float:
    """The standard deviation of the noise, from the neighbours that differ least: even in a tight crop these are paper.

    A quarter of all normal deviates lie within 0.3186 standard deviations.
    """
    return float(np.quantile(np.abs(np.diff(grey, axis=1)), 0.25) / (0.3186 * np.sqrt(2)))


def _depth(grey: np.ndarray, size: int, rim: bool) -> tuple[np.ndarray, np.ndarray]:
    """How much darker each pixel is than its paper: the black top-hat with a square of `size` pixels.

    In the shade it is multiplied, up to four times, so that ink is as deep there as in the light; on a negative, where light ink
    is looked for, nothing is. With `rim`, what runs along the rim counts as paper too, whatever its width: a table's edge.
    Also returns the values half way between each pixel and its paper.
    """
    margin = size // 2 if rim else 0
    wide = np.pad(grey, margin, constant_values=-np.inf)
    closed = scipy.ndimage.maximum_filter(wide, size, mode="constant", cval=-np.inf)
    closed = scipy.ndimage.minimum_filter(closed, size, mode="constant", cval=np.inf)
    closed = closed[margin : margin + grey.shape[0], margin : margin + grey.shape[1]]
    depth, brightest = closed - grey, closed.max()
    if brightest > 0:
        depth *= brightest / np.maximum(closed, brightest / 4)
    return np.maximum(depth - np.median(depth), 0), (closed + grey) / 2


def _high(values: np.ndarray) -> float:
    """A value that only a few pixels exceed, so few that the smallest digit has more."""
    count = max(4, values.size // 2500)
    return float(np.partition(values, -count, axis=None)[-count])


def _best_part(depth: np.ndarray, grey: np.ndarray, middle: np.ndarray, level: float, size: int) -> tuple[bool, int, bool]:
    """The best of the dark parts: a thin stroke with paper on all sides before any other, then the largest.

    Returns whether it is such a stroke or fills the picture, its area, and whether paper is on all its sides. Holes, which have
    ink around them, don't count.
    """
    best = (False, 0, False)
    labels = skimage.measure.label(_without_lines(depth > level, depth, 0.4 * level), connectivity=2)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    for part in skimage.measure.regionprops(labels):
        if part.area <= max(4, 0.1 * best[1]):
            continue
        top, left, bottom, right = part.bbox
        margin = 3 + _extent(part) // 4
        around = slice(max(top - margin, 0), bottom + margin), slice(max(left - margin, 0), right + margin)
        own = labels[around] == part.label
        far, nearest = scipy.ndimage.distance_transform_edt(~own, return_indices=True)
        dark = grey[around] < middle[around][tuple(nearest)]
        if dark.mean() < 0.6 and np.mean(edge == part.label) < 0.5:  # what holds most of the rim is paper
            ring = dark[(far > 2) & (far < 5)]  # empty where the part fills a small picture
            whole = ring.size > 0 and ring.mean() < 0.15 and not _reaches_the_rim(part, depth.shape)
            thin = whole and _extent(part) > 0.8 * size and 8 * scipy.ndimage.distance_transform_edt(own).max() < size
            fills = min(bottom - top, right - left) > 0.9 * min(depth.shape) and part.extent > 0.12  # a digit cut out tightly
            best = max(best, (bool(thin or fills), int(part.area), bool(whole)))
    return best


def _digit(depth: np.ndarray, noise: float, rim: bool) -> np.ndarray:
    """The mask of the digit's strokes. Raises PictureError unless there is one digit, away from the rim."""
    above = skimage.filters.apply_hysteresis_threshold
    rest, outer, least, side = depth, None, max(FAINTEST, 6 * noise), min(depth.shape)
    while (peak := _high(rest)) >= least:
        for low in (0.4, 0.6) if rim else (0.4,):  # at 0.4 faint strokes are whole; at 0.6 lines are apart from them
            mask = _without_lines(above(rest, low * peak, 0.6 * peak), rest, 0.2 * peak)
            labels, parts = _parts(mask)
            inner = _without_specks([part for part in parts if not _reaches_the_rim(part, mask.shape)])
            longest = max(map(_extent, inner), default=0)
            # Beside what reaches the rim, something small need not be the digit; in a tight crop it is a piece of it.
            if inner and longest >= (0.2 * side if outer is not None else 0.04 * side if rim else max(map(_extent, parts))):
                _check_one(inner)
                return np.isin(labels, [part.label for part in inner])
        if outer is None:
            labels, outer = _parts(above(rest, 0.25 * peak, 0.6 * peak))
            cut_out = np.isin(labels, [part.label for part in outer])
            least = max(least, 0.25 * peak)
        rest = np.where(scipy.ndimage.binary_dilation(above(rest, 0.1 * peak, 0.6 * peak), iterations=2), 0, rest)
    if max(map(_extent, outer or []), default=0) < 0.04 * side:
        raise PictureError("the picture is blank: only specks stand out from the paper")
    if not _is_cut_out(cut_out):
        raise PictureError(f"something reaches the rim of the picture: {CROP}")
    _check_one(outer)
    return cut_out


def _parts(mask: np.ndarray) -> tuple[np.ndarray, list]:
    """The connected parts of a mask: the label of each pixel, (height, width), and the parts that are more than specks."""
    labels = skimage.measure.label(mask, connectivity=2)
    return labels, _without_specks(skimage.measure.regionprops(labels))


def _without_specks(parts: list) -> list:
    """The parts that have four pixels or more, and a tenth of the largest one's."""
    return [part for part in parts if part.area >= max(4, 0.1 * max(other.area for other in parts))]


def _extent(part: Any) -> int:
    """The longer side of a part's box, in pixels."""
    return max(part.image.shape)


def _reaches_the_rim(part: Any, shape: tuple[int, int]) -> bool:
    """Whether a part comes nearer to the rim than a fiftieth of the picture's shorter side."""
    top, left, bottom, right = part.bbox
    return min(top, left, shape[0] - bottom, shape[1] - right) < 0.02 * min(shape)


def _is_cut_out(mask: np.ndarray) -> bool:
    """Whether what reaches the rim may be a digit that was cut out tightly, and not a desk or a border.

    Such a digit reaches the rim with its strokes' ends, or fills the picture; a straight one fills a picture that is narrow.
    """
    rim = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]]).mean()
    (part,) = skimage.measure.regionprops(mask.astype(np.uint8))
    height, width = part.bbox[2] - part.bbox[0], part.bbox[3] - part.bbox[1]
    if min(height / mask.shape[0], width / mask.shape[1]) > 0.85:
        return bool(part.extent < 0.85 if mask.shape[0] > 2 * mask.shape[1] else part.solidity < 0.85 and rim < 0.4)
    return bool(part.solidity < 0.85 and rim < 0.15 and min(height, width) > 0.25 * max(height, width))


def _check_one(parts: list) -> None:
    """Raise PictureError if the parts stand side by side or far apart, as the strokes of one digit don't."""
    boxes = np.array([part.bbox for part in parts])
    main = np.array(max(parts, key=_extent).bbox)
    height, width = main[2:] - main[:2]
    gaps = np.maximum(boxes[:, :2], main[:2]) - np.minimum(boxes[:, 2:], main[2:])  # (n, 2), below zero where they overlap
    tall = boxes[:, 2] - boxes[:, 0] >= 0.6 * height
    apart = (gaps.max(axis=1) > 0.25 * max(height, width)) | ((gaps[:, 1] > 0) & tall)
    if apart.any():
        raise PictureError(f"expected one digit, but {apart.sum() + 1} parts stand apart: {CROP}")


def _without_lines(mask: np.ndarray, depth: np.ndarray, faint: float) -> np.ndarray:
    """The mask without ruled lines: thin, straight, nearly level or upright, and from rim to rim where deeper than `faint`."""
    y, x = np.nonzero(depth > faint)
    on_line = np.zeros(len(y), bool)
    for along, across, length in ((x, y, mask.shape[1]), (y, x, mask.shape[0])):
        starts, stops = along < 0.05 * length, along >= 0.95 * length
        for turn in np.deg2rad(np.arange(-5, 5.01, 0.25)):
            place = np.rint(across + np.tan(turn) * along + length).astype(int)
            hot = (np.bincount(place) >= 0.6 * length) & (np.bincount(place, starts) > 0) & (np.bincount(place, stops) > 0)
            on_line |= scipy.ndimage.binary_dilation(hot)[place] if hot.any() else False
    lines = np.zeros_like(mask)
    lines[y, x] = on_line
    rest = mask & ~lines
    if not lines.any() or not rest.any():
        return mask
    quarter = scipy.ndimage.distance_transform_edt(lines)[lines].mean()  # of the lines' width, or 1 where they are thin
    if 4 * quarter > 0.03 * min(mask.shape):  # the strokes of a digit that was cut out tightly
        return mask
    level, peak = np.median(depth[lines]), np.quantile(depth[rest], 0.9)
    rest |= mask & lines & (depth > (level + peak) / 2) & (peak > 1.2 * level)
    width = 2 * int(np.ceil(2 * quarter)) + 1
    return rest | (lines & scipy.ndimage.binary_closing(rest, np.ones((width, width))))


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
        raise PictureError(f"{path}: {_unopened(path)}") from None
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from None
    except Image.DecompressionBombError:
        raise PictureError(f"{path}: expected at most {MOST_PIXELS:,} pixels, got more") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises on damaged files
        raise PictureError(f"{path}: expected a whole picture, but the file is damaged: {error}") from None


def _unopened(path: str) -> str:
    """Why Pillow can't open a file, as its first bytes tell, and a way out."""
    with open(path, "rb") as file:
        head = file.read(512)
    marks = {
        "HEIC": head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"),
        "AVIF": head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"),
        "JPEG XL": head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")),
        "SVG": b"<svg" in head,
        "PDF": head.startswith(b"%PDF"),
        "raw camera": head.startswith((b"II*\0", b"MM\0*", b"FUJIFILM")) or head[4:12] == b"ftypcrx ",
    }
    kind = next((name for name, found in marks.items() if found), None)
    if kind is None:
        return "expected a picture (PNG, JPEG, …), but this file holds none"
    more = " (for HEIC, the package pillow-heif reads it into a PIL image)" if kind == "HEIC" else ""
    return f"expected a picture that Pillow opens, but this is a {kind} file: save it as JPEG or PNG{more}"


def _from_image(image: Any) -> np.ndarray:
    from PIL import ImageOps

    if image.width * image.height > MOST_PIXELS:
        raise PictureError(f"expected at most {MOST_PIXELS:,} pixels, got {image.width} by {image.height}")
    if 0 in image.size:
        raise PictureError(f"expected a picture with pixels, got {image.width} by {image.height}")
    factor = _factor(image.height, image.width)
    image.draft(None, (image.width // factor, image.height // factor))  # a JPEG is decoded at a part of its size
    if image.mode.startswith(("I", "F")):
        return _from_array(np.asarray(ImageOps.exif_transpose(image)))
    if image.mode in ("P", "PA", "LA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    image = ImageOps.exif_transpose(image.reduce(_factor(image.height, image.width)))
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
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise PictureError("expected finite numbers, got NaN or infinity")
    lowest = min(float(array.min()), 0.0)
    largest = float(array.max()) - lowest
    highest = {"u1": 255, "u2": 65535, "i2": 32767}.get(array.dtype.str[1:])
    if largest <= 1 and array.dtype.kind in "bui":
        highest = 1  # zeros and ones
    if highest is None:  # wider numbers and floats don't tell their range; a little noise may lead beyond it
        ranges = (limit for limit in (255, 65535) if largest <= 1.5 * limit)
        highest = max(1.0, largest) if largest <= 4 else next(ranges, largest)
    factor = _factor(*array.shape[:2])
    if factor > 1:
        array = skimage.measure.block_reduce(array, (factor, factor, 1), np.mean)
    return (np.asarray(array, np.float32) - np.float32(lowest)) / np.float32(highest)


def _factor(height: int, width: int) -> int:
    """By how much to reduce a picture: to about WORKING_PIXELS, but a strip no narrower than 100 pixels."""
    return max(1, min(round((height * width / WORKING_PIXELS) ** 0.5), min(height, width) // 100))
