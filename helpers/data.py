"""MNIST: find it, check it, load it, and cut it into mini-batches.

The set is that of Y. LeCun, C. Cortes and C. Burges (1998), licence CC BY-SA 3.0: 60,000 training and 10,000 test
images of handwritten digits, 28 by 28 pixels, uint8 from 0 (paper) to 255 (ink).
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DATA_FOLDER = ROOT / "data"
SAMPLE_FILE = DATA_FOLDER / "mnist_sample.npz"

Expected = dict[str, tuple[tuple[int, ...], str]]  # name: (shape, sha256 of the array's bytes)
ARRAYS: Expected = {
    "x_train": ((60000, 28, 28), "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757"),
    "y_train": ((60000,), "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"),
    "x_test": ((10000, 28, 28), "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"),
    "y_test": ((10000,), "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"),
}
SAMPLE_ARRAYS: Expected = {
    "x_train": ((4000, 28, 28), "4bbda0505248201d1e0c2e1def291505ba277ac7e6bd4778abc4690892b70065"),
    "y_train": ((4000,), "99697d2d289a3061f7f2c946a5a242c795e5b5d253a50968ef4a712cb8aa2e4f"),
    "x_test": ((1000, 28, 28), "810669cbfd3d0a98a66b5ac2c183bf21e288bb2c2bad1bfcfefbb47c7a5b0494"),
    "y_test": ((1000,), "037b240a458eb78f1c77f6c87bf4b671f872c326055a1766c3008d888040ff81"),
}

# The address of a mirror, and its files with the hashes that Keras and torchvision publish for them. A mirror has one
# archive, or the four gzipped IDX files of the original publication in the order of ARRAYS.
MIRRORS = (
    (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        {"mnist.npz": "sha256:731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"},
    ),
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    ("https://s3.amazonaws.com/img-datasets/", {"mnist.npz": "md5:8a61469f7ea1b51cbae51d4f78837e45"}),
)
ANSWER_SECONDS = 4.0  # how long a mirror may take to answer at all, the look-up of its name included
STALL_SECONDS = 15.0  # how long it may fall silent in a download
MIRROR_SECONDS = 180.0  # how long one mirror may take altogether
LARGEST_DOWNLOAD = 64 * 10**6  # bytes; the true files have about 11.5 million

CERTIFICATE_ADVICE = (
    ". The mirror's certificate could not be verified. Is the clock of this computer right? The newest certificates come with:"
    " pip install --upgrade certifi. Behind a proxy or a virus scanner that puts in a certificate of its own, set"
    " REQUESTS_CA_BUNDLE to the file of that certificate"
)
REMEDY = "Name a good copy of mnist.npz, or set MNIST_PATH=sample to work on the embedded sample."


class DataError(ValueError):
    """A data file is missing or is not what it should be; the message names it, what was expected and what came."""


class Unreadable(DataError):
    """The file may be good, but it could not be read."""


@dataclass(frozen=True)
class Mnist:
    """MNIST, or a sample of it: read-only images (n, 28, 28) uint8 in [0, 255] and labels (n,) uint8 in 0..9."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str  # "all of MNIST" or "the embedded sample of MNIST"
    note: str = ""  # what figures should say while the sample stands in for MNIST, else empty

    @property
    def whole(self) -> bool:
        """Is this all of MNIST? Claims of accuracy are made of the whole set only."""
        return self.source == "all of MNIST"

    def __str__(self) -> str:
        return f"{self.source}: {len(self.x_train):,} training and {len(self.x_test):,} test images"


def load_mnist(path: str | os.PathLike | None = None) -> Mnist:
    """Load MNIST from the first place that has it, checked by the checksums of its arrays.

    The order: `path`, or the environment variable MNIST_PATH (a .npz file, or the word "sample"); `data/mnist.npz`; Keras's
    own cache; a download, kept as `data/mnist.npz` (or in the system's temporary folder where `data/` can't be written);
    and, announced, the embedded sample of 4,000 images to train on and 1,000 to test on, `data/mnist_sample.npz`.

    Raises DataError if the file named by `path` or MNIST_PATH is missing or bad. That file is never changed.
    """
    named = path if path is not None else os.environ.get("MNIST_PATH", "")
    if os.fspath(named).strip():
        file = named_file(named)
        return _sample() if file is None else _whole(read_npz(file))

    arrays = (
        _read_if_there(DATA_FOLDER / "mnist.npz", ours=True)
        or _read_if_there(keras_cache(), ours=False)
        or _read_if_there(_temporary_copy(), ours=True)
        or _download()
    )
    if arrays is not None:
        return _whole(arrays)
    _notice(
        "MNIST could not be downloaded. THE EMBEDDED SAMPLE OF 5,000 IMAGES STANDS IN FOR IT: the notebook runs, but its\n"
        "accuracies will be lower than those in the text. With a network, run this cell again; without one, set MNIST_PATH\n"
        "to a copy of mnist.npz."
    )
    return _sample("embedded sample of MNIST (5,000 images), not the whole set")


def named_file(named: str | os.PathLike) -> Path | None:
    """The file that a path or the text of MNIST_PATH names; None for the word "sample", whatever its case.

    Blanks around it are dropped and `~` is the home folder. A relative path is looked for in the current folder, and
    then in the root of the repository, so that the same text is good there and in a notebook's folder.
    """
    text = os.fsdecode(named).strip()
    if text.lower() == "sample":
        return None
    file = Path(os.path.expanduser(text))  # unlike Path.expanduser, it leaves the ~ where there is no home
    if not os.path.exists(file) and os.path.exists(ROOT / file):
        file = ROOT / file
    return file.absolute()


def keras_cache() -> Path:
    """Where Keras keeps its own copy of MNIST. It need not exist."""
    folder = os.environ.get("KERAS_HOME") or os.path.expanduser(os.path.join("~", ".keras"))
    return Path(folder, "datasets", "mnist.npz")


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read the four arrays of MNIST from a .npz archive. Raises DataError if a type, shape or checksum is another.

    Nothing is unpickled, and no size in the archive is trusted: of each array no more is read than it should have.
    """
    return _read(path, ARRAYS, REMEDY)


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


def _sample(note: str = "") -> Mnist:
    arrays = _read(SAMPLE_FILE, SAMPLE_ARRAYS, "It belongs to the repository: git checkout data/mnist_sample.npz")
    return Mnist(**arrays, source="the embedded sample of MNIST", note=note)


def _read(path: Path, expected: Expected, remedy: str) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            members, names = sorted(f"{name}.npy" for name in expected), sorted(archive.namelist())
            if names != members:
                raise DataError(f"expected the members {', '.join(members)}, got {', '.join(names[:6])}.")
            return {name: _read_member(archive, name, *known) for name, known in expected.items()}
    except FileNotFoundError:
        raise DataError(f"{path}: expected the archive {Path(path).name}, but there is no such file. {remedy}") from None
    except DataError as error:
        raise DataError(f"{path}: {error} {remedy}") from None
    except OSError as error:
        raise Unreadable(f"{path}: expected a readable file, got: {error.strerror or error}. {remedy}") from None
    except Exception as error:  # a broken archive makes zipfile, zlib and struct raise many kinds
        raise DataError(f"{path}: expected a whole zip archive, got: {str(error) or type(error).__name__}. {remedy}") from None


def _read_member(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], digest: str) -> np.ndarray:
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # the others can't be read in part
        raise DataError(f"expected {name} stored or deflated, as NumPy writes it, got compression {member.compress_type}.")
    with archive.open(member) as stream:
        data = io.BytesIO(stream.read(int(np.prod(shape)) + 4096))  # a header has fewer bytes than that
    try:
        array = np.load(data, allow_pickle=False)
    except (ValueError, EOFError, MemoryError) as error:
        raise DataError(f"expected {name} to be uint8 of shape {shape}, got: {error}.") from None
    if data.read(1):
        raise DataError(f"expected the array alone in {name}, got more.")
    return _check(np.ascontiguousarray(array), name, shape, digest)


def _check(array: np.ndarray, name: str, shape: tuple[int, ...], digest: str) -> np.ndarray:
    """The same array, checked and made read-only."""
    if array.shape != shape or array.dtype != np.uint8:
        raise DataError(f"expected {name} to be uint8 of shape {shape}, got {array.dtype} of shape {array.shape}.")
    came = hashlib.sha256(array).hexdigest()
    if came != digest:
        raise DataError(f"expected {name} with sha256 {digest[:12]}…, got {came[:12]}…: these are not MNIST's.")
    array.setflags(write=False)
    return array


def _read_if_there(place: Path, ours: bool) -> dict[str, np.ndarray] | None:
    """The arrays in `place`; None if there are none or bad ones. A bad file of ours is set aside, another passed over."""
    if not os.path.exists(place):  # unlike Path.exists, it is False where a folder may not be looked into
        return None
    try:
        return read_npz(place)
    except DataError as error:
        fate = "passed over"
        if ours and not isinstance(error, Unreadable):
            aside = place.with_name(f"{place.stem}-{uuid.uuid4().hex[:8]}.bad")
            with contextlib.suppress(OSError):  # it may not be renamed, or another process has done so
                os.replace(place, aside)
                fate = f"set aside as {aside.name}"
            with contextlib.suppress(DataError, OSError):  # another process may have put a good file there by then
                arrays = read_npz(aside)
                os.replace(aside, place)
                return arrays
        _notice(f"{error}\n{'The file' if ours else 'The copy of Keras'} is {fate}.")
        return None


def _download() -> dict[str, np.ndarray] | None:
    """The arrays from the first mirror that gives good data, kept for the next time. None if there is no such mirror."""
    reasons = []
    for address, hashes in MIRRORS:
        try:
            with tempfile.TemporaryDirectory(prefix="four-networks-", ignore_cleanup_errors=True) as folder:
                deadline = time.monotonic() + MIRROR_SECONDS
                files = [_fetch(address + name, known, Path(folder, name), deadline) for name, known in hashes.items()]
                arrays = read_npz(files[0]) if len(files) == 1 else _read_idx(files)
        except (DataError, OSError) as error:
            reasons.append(f"{address}: {error}")
        else:
            _keep(arrays)
            return arrays
    _notice("No mirror gave MNIST:\n" + "\n".join(reasons))
    return None


def _read_idx(files: list[Path]) -> dict[str, np.ndarray]:
    """Read the four IDX files: a 32-bit word, one more for each axis, then the bytes of the array."""
    arrays = {}
    for (name, (shape, digest)), file in zip(ARRAYS.items(), files, strict=True):
        with gzip.open(file) as stream:  # its hash was checked, so that its size is known to be right
            array = np.frombuffer(stream.read(), np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
        arrays[name] = _check(array, name, shape, digest)
    return arrays


def _fetch(url: str, known_hash: str, file: Path, deadline: float) -> Path:
    """Download `url` to `file`, saying how much of it has come, and verify its hash. Raises DataError."""
    import pooch  # here, since most loads need no download, and requests takes half a second

    pooch.get_logger().setLevel("WARNING")  # its line would repeat ours
    downloader = pooch.HTTPDownloader(progressbar=_Line(url, deadline), timeout=(ANSWER_SECONDS, STALL_SECONDS))
    try:
        _wait_for_an_answer(downloader, url)
        return Path(pooch.retrieve(url, known_hash, fname=file.name, path=file.parent, downloader=downloader))
    except Exception as error:
        reason = str(error) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            reason += CERTIFICATE_ADVICE
        raise DataError(reason) from None


def _wait_for_an_answer(downloader: Callable, url: str) -> None:
    """Raise what keeps `url` from answering, or DataError after ANSWER_SECONDS of silence.

    Asked in a thread of its own, because nothing else bounds the look-up of a name, or a host of many addresses.
    """
    answer: futures.Future[bool] = futures.Future()

    def ask() -> None:
        try:
            answer.set_result(downloader(url, None, None, check_only=True))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    if not futures.wait([answer], ANSWER_SECONDS).done:
        raise DataError(f"expected an answer within {ANSWER_SECONDS:.0f} s, got silence.")
    answer.result()


class _Line:
    """Stands in for pooch's progress bar: one line of text. It ends a download that is too large or takes too long."""

    total = 0  # bytes; pooch sets it, to 0 where the mirror doesn't say

    def __init__(self, url: str, deadline: float) -> None:
        self.url, self.deadline, self.came, self.shown = url, deadline, 0, 0.0

    def update(self, count: int) -> None:
        now = time.monotonic()
        self.came += count
        if self.came > LARGEST_DOWNLOAD or now > self.deadline:
            raise DataError(f"expected about 11 MB within {MIRROR_SECONDS:.0f} s, got {self.came / 1e6:.1f} MB and no end.")
        if now - self.shown > 0.25:
            self.shown = now
            of = f" of {self.total / 1e6:.1f}" if self.total else ""
            _say(f"\rDownloading {self.url}: {self.came / 1e6:.1f}{of} MB", end="")

    def reset(self) -> None:  # pooch calls it when all has come, and then `update` with the total
        self.came, self.shown = 0, 0.0

    def close(self) -> None:
        _say("")


def _temporary_copy() -> Path:
    """Where a download is kept if `data/` can't be written: in a folder for each user of this computer."""
    user = os.getuid() if hasattr(os, "getuid") else ""
    return Path(tempfile.gettempdir(), f"four-networks-{user}", "mnist.npz")


def _keep(arrays: dict[str, np.ndarray]) -> None:
    """Write data/mnist.npz whole or not at all; where that fails say so, and try the temporary folder."""
    for target in (DATA_FOLDER / "mnist.npz", _temporary_copy()):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".mnist-", dir=target.parent) as folder:
                part = Path(folder, target.name)
                np.savez_compressed(part, **arrays)
                os.replace(part, target)
        except OSError as error:
            _notice(f"MNIST could not be kept in {target.parent} for the next run: {error.strerror or error}.")
        else:
            if target.parent != DATA_FOLDER:
                _notice(f"MNIST is kept in {target}.")
            return


def _notice(text: str) -> None:
    _say(f"\n{'-' * 100}\n{text}\n{'-' * 100}")


def _say(text: str, end: str = "\n") -> None:
    """Print, with a ? for each letter that the terminal can't show."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), end=end, flush=True)
