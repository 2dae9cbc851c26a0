"""Any picture of a digit becomes what MNIST would have made of it, or is refused in words."""

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from helpers import pictures
from helpers.pictures import PictureError, centre, find_ink, prepare
from tests import photographs
from tests.notebook_code import ROOT


@pytest.fixture(scope="module")
def digits(sample):
    return sample.x_test[:20]


def alike(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


def large(digit, side=160):
    """The digit as a grey picture, (side, side) in [0, 1], ink 1."""
    return np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)) / 255


def on_paper(digit):
    return Image.fromarray(np.uint8(255 * (1 - large(digit))))


RNG = np.random.default_rng(0)
ACROSS = np.linspace(0.4, 1, 160)[None, :] * np.linspace(1, 0.7, 160)[:, None]
GUISES = {
    "light on dark": lambda d: large(d),
    "dark on light": lambda d: 1 - large(d),
    "8 bits": lambda d: np.uint8(255 * large(d)),
    "16 bits": lambda d: np.uint16(65535 * large(d)),
    "12 of 16 bits": lambda d: np.uint16(4095 * large(d)),
    "floats up to 255": lambda d: 255 * large(d),
    "one channel": lambda d: large(d)[..., None],
    "coloured": lambda d: np.stack([0.8 - 0.6 * large(d), 0.8 - 0.2 * large(d), 0.4 + 0.4 * large(d)], axis=-1),
    "red on green of the same brightness": lambda d: np.stack([large(d), 0.51 * (1 - large(d)), 0 * large(d)], axis=-1),
    "black on nothing": lambda d: np.stack([0 * large(d), large(d)], axis=-1),
    "white on nothing": lambda d: np.stack([np.ones((160, 160))] * 3 + [large(d)], axis=-1),
    "faint": lambda d: 0.8 - 0.06 * large(d),
    "noisy": lambda d: 0.2 + 0.6 * large(d) + RNG.normal(0, 0.2, (160, 160)),
    "unevenly lit": lambda d: (1 - 0.6 * large(d)) * ACROSS,
    "off-centre": lambda d: np.pad(1 - large(d, 80), [(0, 90), (100, 10)], constant_values=1),
    "wide": lambda d: np.pad(1 - large(d, 80), [(30, 30), (200, 60)], constant_values=1),
    "a long strip": lambda d: np.pad(1 - large(d, 70), [(15, 15), (2000, 1930)], constant_values=1),
    "small": lambda d: np.asarray(Image.fromarray(d).resize((20, 20), Image.Resampling.BOX)),
}


@pytest.mark.parametrize("guise", GUISES)
def test_a_digit_comes_out_as_mnist_has_it_in_whatever_guise(guise, digits):
    likeness = []
    for digit in digits:
        prepared = prepare(GUISES[guise](digit))
        assert prepared.shape == (28, 28) and prepared.dtype == np.float32
        assert prepared.min() >= 0 and prepared.max() <= 1
        likeness.append(alike(prepared, digit))
    assert np.median(likeness) > 0.84 and np.mean(np.array(likeness) > 0.6) >= 0.95, sorted(likeness)[:5]


def test_mnist_s_images_come_out_as_they_went_in_and_stay_as_they_are(digits):
    before = digits.copy()
    assert np.median([alike(prepare(digit), digit) for digit in digits]) > 0.99
    np.testing.assert_array_equal(digits, before)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int16, np.int64])
def test_arrays_of_zeros_and_ones_are_black_and_white(kind, digits):
    picture = (large(digits[0]) > 0.5).astype(kind)
    assert alike(prepare(picture), digits[0]) > 0.8
    np.testing.assert_array_equal(prepare(picture), prepare(picture * 1.0))


BETWEEN = {"PA": "LA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB"}  # Pillow converts in two steps
MODES = ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I", "F", "I;16", "I;16B", *BETWEEN]


@pytest.mark.parametrize("mode", MODES)
def test_pil_images_of_every_mode_are_read(mode, digits):
    grey = on_paper(digits[0])
    if mode.startswith("I;16"):
        image = Image.frombytes(mode, grey.size, (np.uint16(grey) * 257).astype(">u2" if mode == "I;16B" else "<u2").tobytes())
    else:
        image = grey.convert(BETWEEN.get(mode, mode)).convert(mode)
    assert image.mode == mode
    assert alike(prepare(image), digits[0]) > (0.75 if mode == "1" else 0.8)  # dithered to black and white it is rough


def test_files_are_read_by_path_and_by_text_and_turned_as_exif_says(digits, tmp_path):
    on_paper(digits[0]).save(tmp_path / "digit.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    on_paper(digits[0]).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "photo.jpg", exif=exif)
    for path in (tmp_path / "digit.png", str(tmp_path / "digit.png"), tmp_path / "photo.jpg"):
        assert alike(prepare(path), digits[0]) > 0.85


def test_specks_are_left_out(digits):
    picture = np.pad(1 - large(digits[0]), 40, constant_values=1)
    for row, column in [(5, 5), (230, 10), (10, 220)]:
        picture[row : row + 3, column : column + 3] = 0
    assert alike(prepare(picture), digits[0]) > 0.85


def test_a_thin_pen_is_thickened():
    picture = np.ones((400, 400))
    picture[60:340, 199:201] = 0
    prepared = prepare(picture)
    assert 1.5 <= prepared[14].sum() <= 4


def test_centring_is_that_of_mnist():
    ink = np.zeros((40, 60))
    ink[3:13, 40:44] = 1
    centred = centre(ink)
    rows, columns = np.flatnonzero(centred.any(axis=1)), np.flatnonzero(centred.any(axis=0))
    assert len(rows) == 20 and len(columns) == 8
    assert np.abs(np.array(ndimage.center_of_mass(centred)) - 14).max() <= 0.51


BLANKS = {
    "black": np.zeros((50, 50)),
    "a little noise": np.random.default_rng(0).random((28, 28)),
    "a large noise": np.random.default_rng(0).normal(0.5, 0.1, (300, 200)),
    "a gradient": np.linspace(0, 1, 2500).reshape(50, 50),
    "uneven light": ACROSS,
    "half transparent": np.full((40, 40, 4), 0.5),
}


@pytest.mark.parametrize("blank", BLANKS)
def test_a_blank_picture_is_refused(blank):
    with pytest.raises(PictureError, match="blank"):
        prepare(BLANKS[blank])


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (None, "expected a path, a PIL image or an array, got NoneType"),
        (np.full((28, 28), np.nan), "expected finite numbers"),
        (np.full((28, 28), np.inf), "expected finite numbers"),
        (np.zeros(784), r"expected an array of shape .* got \(784,\)"),
        (np.zeros((28, 28, 7)), r"got \(28, 28, 7\)"),
        (np.zeros((2, 28, 28, 1)), r"got \(2, 28, 28, 1\)"),
        (np.zeros((0, 28)), "got 28 by 0"),
        (Image.new("L", (0, 28)), "expected a picture with pixels, got 0 by 28"),
        (np.broadcast_to(np.uint8(0), (10_001, 10_000)), "up to 100,000,000 pixels, got 10000 by 10001"),
        (np.zeros((3, 3)), "at least 5 by 5 pixels"),
        (np.eye(9), "too small to be read: expected 10 pixels at least, got 9 by 9"),
        (np.zeros((28, 28), complex), "array of numbers, got complex"),
        (np.full((28, 28), None), "array of numbers, got object"),
        ([[1, 2], [3]], "different lengths"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(picture, message):
    with pytest.raises(PictureError, match=message):
        prepare(picture)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"I am no picture", "expected a picture .* holds none"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "this is a HEIC file: save it as JPEG or PNG .*pillow-heif"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "this is a JPEG XL file: save it as JPEG or PNG"),
        (b"%PDF-1.7\n", "this is a PDF file: save it as JPEG or PNG"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "this is a SVG file: save it as JPEG or PNG"),
    ],
    ids=["text", "HEIC", "JPEG XL", "PDF", "SVG"],
)
def test_a_file_that_pillow_does_not_open_is_refused_by_name_and_kind(content, message, tmp_path):
    (tmp_path / "digit").write_bytes(content + bytes(400))
    with pytest.raises(PictureError, match=f"digit: .*{message}"):
        prepare(tmp_path / "digit")


def test_missing_and_broken_files_and_folders_are_refused_by_name(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8)).save(tmp_path / "whole.png")
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    messages = {
        "none.png": "expected a picture, but there is no such file",
        "": "expected a picture, but this is a folder",
        "cut.png": "expected a whole picture, but the file is damaged",
    }
    for name, message in messages.items():
        with pytest.raises(PictureError, match=re.escape(f"{tmp_path / name}: {message}")):
            prepare(tmp_path / name)


def test_pictures_with_too_many_pixels_are_refused(monkeypatch, tmp_path):
    path, image = tmp_path / "bomb.png", Image.new("1", (40, 40))
    image.save(path)
    monkeypatch.setattr(pictures, "MOST_PIXELS", 1000)
    with pytest.raises(PictureError, match="^expected at most 1,000 pixels, got 40 by 40"):
        prepare(image)
    with pytest.raises(PictureError, match="bomb.png: expected at most 1,000 pixels, got 40 by 40"):
        prepare(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # Pillow itself refuses twice as many
    with pytest.raises(PictureError, match="bomb.png: expected at most 1,000 pixels, got more"):
        prepare(path)


def test_a_picture_error_is_a_value_error():
    with pytest.raises(ValueError, match="no ink"):
        centre(np.zeros((9, 9)))
    with pytest.raises(ValueError, match="blank"):
        find_ink(np.zeros((9, 9, 3)))


def test_a_digit_cut_out_to_its_rim_keeps_its_strokes(sample):
    """Of sevens and twos cut out exactly, not one loses its bar or foot, which would make another digit of it."""
    for digit in sample.x_test[np.isin(sample.y_test, (2, 7))][:20]:
        ink = large(digit)
        cut = ink[ndimage.find_objects((ink > 0.3).astype(int))[0]]
        assert alike(prepare(1 - cut), digit) > 0.6


# What follows is read by a classifier: the nearest of the sample's training images. It reads most of them rightly, and is asked
# only about digits of which it is sure as they are.


@pytest.fixture(scope="module")
def classify(sample):
    """Images (n, 28, 28) to the labels of the five nearest training images, (n, 5), the nearest last."""

    def features(images):
        blurred = ndimage.gaussian_filter(np.asarray(images, np.float32), (0, 1, 1)).reshape(len(images), -1)
        return blurred / np.linalg.norm(blurred, axis=1, keepdims=True)

    known = features(sample.x_train)
    return lambda images: sample.y_train[np.argsort(features(images) @ known.T, axis=1)[:, -5:]]


@pytest.fixture(scope="module")
def sure(sample, classify):
    """Digits of which the classifier is sure, four of each, and their labels."""
    agreed = (classify(sample.x_test) == sample.y_test[:, None]).all(axis=1)
    chosen = [np.flatnonzero(agreed & (sample.y_test == label))[:4] for label in range(10)]
    order = np.transpose(chosen).ravel()  # 0, 1, … 9, 0, 1, …
    return sample.x_test[order], sample.y_test[order]


KINDS = photographs.STROKES | photographs.PHOTOGRAPHS | photographs.AT_THE_RIM


@pytest.mark.parametrize("kind", KINDS)
def test_nine_in_ten_photographs_are_read_or_refused_for_their_rim(kind, sure, classify):
    number = 40 if kind in photographs.STROKES else 12
    rng = np.random.default_rng(number)
    right = refused = 0
    for digit, label in list(zip(*sure))[:number]:
        try:
            right += classify([prepare(KINDS[kind](digit, rng))])[0, -1] == label
        except PictureError:
            refused += kind in photographs.AT_THE_RIM
    assert right + refused >= 0.9 * number, (right, refused)


@pytest.mark.parametrize("side", [20, 28, 40])
def test_a_line_of_one_pixel_becomes_a_whole_stroke(side, sample):
    """It came out hollow when the darkness of the ink was taken from its neighbourhood."""
    likeness = [alike(prepare(photographs.one_pixel(digit, side=side)), digit) for digit in sample.x_test[:40]]
    assert np.median(likeness) > 0.7, np.median(likeness)


@pytest.mark.parametrize("number", [2, 3])
def test_several_digits_side_by_side_are_refused_and_counted(number, sure):
    """All are refused; the count is right in nine of ten (a digit may have two parts)."""
    rng, said = np.random.default_rng(0), []
    for first in range(0, 30, number):
        digits = sure[0][first : first + number]
        with pytest.raises(PictureError, match="crop the picture") as refusal:
            prepare(photographs.beside(digits[0], list(digits[1:]), rng))
        said += re.findall(r"expected one digit, but (\d) parts stand apart", str(refusal.value))
    assert said.count(str(number)) >= 0.9 * 30 / number, said


def test_two_digits_close_together_are_two(sure):
    """A fifth of their height lies between them, as much as between the strokes of some digits."""
    inks = [photographs.ink_of(digit, 120, 8) for digit in sure[0][:10]]
    for one, other in zip(inks[::2], inks[1::2]):
        row = [np.pad(ink, [(30, 210 - len(ink)), (0, 0)]) for ink in (one, other)]
        picture = 1 - np.pad(np.concatenate(row, axis=1), 30)
        with pytest.raises(PictureError, match="expected one digit, but 2 parts stand apart"):
            prepare(picture)


def test_a_table_s_edge_alone_is_never_a_one():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:300, :400]
    for tilt in (0.0, 0.1, 0.3):
        for depth in (15, 40, 120):
            sheet = np.where(x - tilt * (y - 150) > 400 - depth, 0.15, 0.85) + rng.normal(0, 0.01, (300, 400))
            with pytest.raises(PictureError):
                prepare(sheet)


def test_an_upright_line_of_one_pixel_is_a_one(classify):
    picture = np.full((28, 28), 255, np.uint8)
    picture[5:23, 14] = 0
    assert classify([prepare(picture)])[0, -1] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells the peak of the memory in /proc")
@pytest.mark.parametrize("name", ["photo.jpg", "photo.png"])
def test_a_phone_s_photo_takes_less_than_200_mb(name, digits, tmp_path):
    small = photographs.photograph(digits[0], np.random.default_rng(0))
    photo = Image.fromarray(small).resize((6000, 4000), Image.Resampling.NEAREST)
    photo.save(tmp_path / name, **({"quality": 90} if name.endswith("jpg") else {"compress_level": 1}))
    code = (
        "import sys; from helpers.pictures import prepare; prepare(sys.argv[1]);"
        "assert not {'tensorflow', 'keras', 'pandas', 'sklearn', 'matplotlib'} & set(sys.modules);"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and int(done.stdout) / 1024 < 200, done.stdout + done.stderr
