"""Where MNIST comes from, and what happens when what comes is not MNIST."""

import gzip
import hashlib
import io
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from helpers import data
from helpers.data import DataError, batches, load_mnist, one_hot

SHAPES = {"x_train": (600, 28, 28), "y_train": (600,), "x_test": (10, 28, 28), "y_test": (10,)}


def npz(arrays, save=np.savez_compressed) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def idx(array) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(header + array.tobytes())


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A set of 610 pictures that stands for MNIST, with its own checksums, in a folder of its own, and no mirror."""
    rng = np.random.default_rng(7)
    arrays = {name: rng.integers(0, 256, shape).astype(np.uint8) for name, shape in SHAPES.items()}
    digests = {name: (array.shape, sha256(array.tobytes())) for name, array in arrays.items()}
    monkeypatch.setattr(data, "ARRAYS", digests)
    monkeypatch.setattr(data, "DATA_FOLDER", tmp_path / "data")
    monkeypatch.setattr(data, "MIRRORS", ())
    monkeypatch.setattr(data, "_temporary_copy", lambda: tmp_path / "temporary" / "mnist.npz")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("MNIST_PATH", raising=False)
    return arrays


@pytest.fixture
def mirror():
    """A web server on the loopback: `mirror({name: body})` serves files and returns an entry of `data.MIRRORS`.

    A callable body plays the whole answer itself. The hashes are those of `published`, if it is given.
    """
    answers, asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = answers[self.path]
            if callable(body):
                body(self)
            else:
                start(self, len(body))
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that hangs up is part of the play
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def serve(files, published=None):
        folder = f"/{len(answers)}/"
        answers.update({folder + name: body for name, body in files.items()})
        hashes = {name: f"sha256:{sha256(body)}" for name, body in (published or files).items()}
        return f"http://127.0.0.1:{server.server_port}{folder}", hashes

    serve.asked = asked
    yield serve
    server.shutdown()
    server.server_close()


def start(handler, length=None):
    handler.send_response(200)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()


@pytest.fixture
def one_mirror(small, monkeypatch, mirror):
    """The only mirror has the small set as mnist.npz."""
    monkeypatch.setattr(data, "MIRRORS", (mirror({"mnist.npz": npz(small)}),))
    return mirror


def write(path, body: bytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def assert_is(mnist, arrays):
    assert mnist.whole and mnist.note == ""
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(mnist, name), array)
        assert not getattr(mnist, name).flags.writeable


# --- the order of the search ---


def test_a_path_comes_before_everything_else(small, tmp_path, monkeypatch):
    write(tmp_path / "data" / "mnist.npz", b"not looked at")
    monkeypatch.setenv("MNIST_PATH", "sample")
    assert_is(load_mnist(write(tmp_path / "mine.npz", npz(small))), small)
    assert (tmp_path / "data" / "mnist.npz").read_bytes() == b"not looked at"


@pytest.mark.parametrize("word", ["sample", "Sample", " SAMPLE \n"])
def test_the_word_sample_asks_for_the_sample_quietly(small, monkeypatch, capsys, word):
    monkeypatch.setenv("MNIST_PATH", word)
    for mnist in (load_mnist(), load_mnist(word)):
        assert mnist.source == "the embedded sample of MNIST" and not mnist.whole and mnist.note == ""
    assert capsys.readouterr().out == ""


def test_mnist_path_may_have_blanks_a_tilde_or_be_relative(small, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "ROOT", tmp_path / "root")
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    places = {
        f" {tmp_path / 'absolute.npz'} ": tmp_path / "absolute.npz",
        "~/tilde.npz": tmp_path / "home" / "tilde.npz",
        "sub/here.npz": tmp_path / "here" / "sub" / "here.npz",
        "data/root.npz": tmp_path / "root" / "data" / "root.npz",
    }
    for text, place in places.items():
        monkeypatch.setenv("MNIST_PATH", text)
        with pytest.raises(DataError, match="no such file"):
            load_mnist()
        write(place, npz(small))
        assert_is(load_mnist(), small)
        assert data.named_file(text) == place


def test_the_cache_of_keras_is_read_after_data_and_never_written(one_mirror, small, tmp_path, capsys):
    cached = write(tmp_path / "keras" / "datasets" / "mnist.npz", npz(small))
    assert_is(load_mnist(), small)
    assert one_mirror.asked == [] and not (tmp_path / "data").exists()
    cached.write_bytes(b"broken")
    assert_is(load_mnist(), small)
    notice = capsys.readouterr().out
    assert "copy of Keras is passed over" in notice and "zip" in notice and "MNIST_PATH=sample" in notice
    assert_is(load_mnist(), small)
    assert capsys.readouterr().out == "", "with the download in data/ at hand, the cache isn't looked at"
    assert cached.read_bytes() == b"broken" and len(list(cached.parent.iterdir())) == 1


def test_a_user_without_a_home_folder_is_no_error(small, tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it does where there is no home
    monkeypatch.delenv("KERAS_HOME")
    assert not load_mnist().whole
    with pytest.raises(DataError, match="no such file"):
        load_mnist("~/mnist.npz")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    write(tmp_path / "keras" / "datasets" / "mnist.npz", npz(small))
    assert_is(load_mnist(), small)


def test_a_keras_folder_that_may_not_be_entered_is_passed_over(small, tmp_path, monkeypatch):
    stat = os.stat

    def closed(path, *args, **options):
        if "keras" in os.fspath(path):
            raise PermissionError(13, "Permission denied", path)
        return stat(path, *args, **options)

    monkeypatch.setattr(os, "stat", closed)
    assert not load_mnist().whole


# --- bad files in data/ ---


def test_a_bad_file_in_data_is_set_aside_and_replaced(one_mirror, small, tmp_path, capsys):
    own = tmp_path / "data" / "mnist.npz"
    for bad in (npz(small)[:-200], b"another bad one"):
        write(own, bad)
        assert_is(load_mnist(), small)
        assert own.read_bytes() != bad
    aside = list((tmp_path / "data").glob("*.bad"))
    assert sorted(path.read_bytes() for path in aside) == sorted([npz(small)[:-200], b"another bad one"])
    notice = capsys.readouterr().out
    assert all(f"set aside as {path.name}" in notice for path in aside)


def test_a_good_file_that_another_process_has_just_put_there_stays(small, tmp_path, monkeypatch):
    own, read = write(tmp_path / "data" / "mnist.npz", b"broken"), data.read_npz

    def meanwhile(path):
        if path == own and own.read_bytes() == b"broken":
            with pytest.raises(DataError) as caught:
                read(path)
            own.write_bytes(npz(small))
            raise caught.value
        return read(path)

    monkeypatch.setattr(data, "read_npz", meanwhile)
    assert_is(load_mnist(), small)
    assert [path.name for path in own.parent.iterdir()] == ["mnist.npz"] and own.read_bytes() == npz(small)


@pytest.mark.parametrize("module, name", [(os, "replace"), (zipfile, "ZipFile")], ids=["renamed", "read"])
def test_a_file_in_data_that_may_not_be_touched_stays(small, tmp_path, monkeypatch, capsys, module, name):
    own, allowed = write(tmp_path / "data" / "mnist.npz", b"broken"), getattr(module, name)

    def refuse(path, *others):
        if path == own:
            raise PermissionError(13, "no permission")
        return allowed(path, *others)

    monkeypatch.setattr(module, name, refuse)
    assert not load_mnist().whole
    assert [path.name for path in own.parent.iterdir()] == ["mnist.npz"]
    assert "The file is passed over" in capsys.readouterr().out


# --- the embedded sample ---


def test_the_sample_is_real_mnist_split_once_for_everybody(sample):
    assert sample.x_train.dtype == sample.y_train.dtype == np.uint8 and not sample.whole
    np.testing.assert_array_equal(np.bincount(np.concatenate([sample.y_train, sample.y_test])), [500] * 10)
    assert str(sample) == "the embedded sample of MNIST: 4,000 training and 1,000 test images"
    assert not any(getattr(sample, name).flags.writeable for name in SHAPES)
    training = {image.tobytes() for image in sample.x_train}
    assert not any(image.tobytes() in training for image in sample.x_test)


def test_a_damaged_sample_is_refused_and_says_how_to_get_it_back(monkeypatch, tmp_path):
    damaged = write(tmp_path / "mnist_sample.npz", one_byte_changed(data.SAMPLE_FILE.read_bytes()))
    monkeypatch.setattr(data, "SAMPLE_FILE", damaged)
    with pytest.raises(DataError, match="git checkout data/mnist_sample.npz"):
        load_mnist("sample")


def test_the_sample_stands_in_where_nothing_is_reachable_and_says_so(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_PATH", " ")  # as if it were not set
    mnist = load_mnist()
    assert mnist.source == "the embedded sample of MNIST" and "sample" in mnist.note
    notice = capsys.readouterr().out
    assert "EMBEDDED SAMPLE" in notice and "MNIST_PATH" in notice
    assert load_mnist(write(tmp_path / "mine.npz", npz(small))).note == ""


def test_the_readme_of_the_folder_names_the_checksums():
    text = (data.SAMPLE_FILE.parent / "README.md").read_text(encoding="utf-8")
    for _, digest in [*data.ARRAYS.values(), *data.SAMPLE_ARRAYS.values()]:
        assert digest in text
    assert sha256(data.SAMPLE_FILE.read_bytes()) in text


# --- files that are not MNIST ---


def changed_archive(arrays, compression=zipfile.ZIP_DEFLATED, change=lambda member: member) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array)
            archive.writestr(f"{name}.npy", change(member.getvalue()))
    return file.getvalue()


def one_pixel_changed(arrays) -> bytes:
    images = arrays["x_train"].copy()
    images[5, 5, 5] ^= 1
    return npz({**arrays, "x_train": images})


def one_byte_changed(body: bytes) -> bytes:
    half = len(body) // 2
    return body[:half] + bytes([body[half] ^ 1]) + body[half + 1 :]


def huge_by_its_header(_) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**12,)})
    return changed_archive(dict.fromkeys(SHAPES, np.zeros(1)), change=lambda _: header.getvalue() + bytes(10**6))


# kind of fault: (what makes the file of the right arrays, what the message names)
FAULTS = {
    "a page of HTML": (lambda arrays: b"<html>Too many requests</html>", "zip"),
    "truncated": (lambda arrays: npz(arrays)[: len(npz(arrays)) // 2], "zip"),
    "garbled": (lambda arrays: npz(arrays)[:70] + b"\xff" * 200 + npz(arrays)[270:], "zip"),
    "one byte changed in the file": (lambda arrays: one_byte_changed(npz(arrays)), "x_train"),
    "one pixel changed": (one_pixel_changed, "sha256"),
    "an array missing": (lambda arrays: npz({name: arrays[name] for name in list(arrays)[:3]}), "y_test.npy"),
    "an array too many": (lambda arrays: npz({**arrays, "more": arrays["y_test"]}), "more.npy"),
    "a wrong shape": (lambda arrays: npz({**arrays, "x_test": arrays["x_test"].reshape(10, 784)}), r"\(10, 28, 28\)"),
    "a wrong type": (lambda arrays: npz({**arrays, "y_test": arrays["y_test"].view(np.int8)}), "uint8"),
    "a pickle inside": (
        lambda arrays: npz({**arrays, "y_test": np.array([os.getcwd, None])}, np.savez),
        "y_test to be uint8.*pickle",
    ),
    "huge by its header": (huge_by_its_header, "x_train"),
    "more than the array": (lambda arrays: changed_archive(arrays, change=lambda member: member + b"more"), "more"),
    "an unusual compression": (lambda arrays: changed_archive(arrays, zipfile.ZIP_BZIP2), "deflated"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_given_by_path_is_explained_and_left_alone(small, tmp_path, fault):
    make, reason = FAULTS[fault]
    body = make(small)
    path = write(tmp_path / "given.npz", body)
    with pytest.raises(DataError, match=reason) as caught:
        load_mnist(path)
    message = str(caught.value)
    assert "given.npz" in message and "expected" in message and "got" in message and "MNIST_PATH=sample" in message
    assert path.read_bytes() == body


def test_an_archive_that_grows_a_thousandfold_takes_no_memory(small, tmp_path):
    path = write(tmp_path / "bomb.npz", changed_archive(small, change=lambda member: member + bytes(2 * 10**7)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="x_train"):
            load_mnist(path)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def test_a_missing_file_and_a_folder_are_errors_in_words(small, tmp_path):
    with pytest.raises(DataError, match="absent.npz.*no such file.*MNIST_PATH=sample"):
        load_mnist(tmp_path / "absent.npz")
    with pytest.raises(DataError, match="expected a readable file"):
        load_mnist(tmp_path)


# --- downloads ---


def test_a_download_is_kept_whole_and_used_the_next_time(one_mirror, small, tmp_path, capsys):
    assert_is(load_mnist(), small)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mnist.npz"]
    assert_is(load_mnist(), small)
    assert one_mirror.asked == ["/0/mnist.npz"]
    size = len(npz(small)) / 1e6
    said = capsys.readouterr().out
    assert re.search(rf"Downloading http://.*/mnist.npz: {size:.1f} of {size:.1f} MB\n", said) and "kept" not in said


def test_a_mirror_may_hold_the_four_files_of_the_first_publication(small, tmp_path, monkeypatch, mirror):
    files = {f"{name}.gz": idx(array) for name, array in small.items()}
    monkeypatch.setattr(data, "MIRRORS", (mirror(files),))
    assert_is(load_mnist(), small)
    assert_is(load_mnist(tmp_path / "data" / "mnist.npz"), small)


def stall(handler):
    start(handler, 100_000)
    handler.wfile.write(b"PK" * 1000)
    time.sleep(20)


def endless(handler):
    start(handler)
    while True:
        handler.wfile.write(bytes(1 << 16))


def trickle(handler):
    start(handler, 10_000_000)
    while True:
        handler.wfile.write(bytes(2000))
        time.sleep(0.02)


# what happens: (what the mirror sends, or what makes it of the right arrays; what the notice names)
BAD_MIRRORS = {
    "stalled": (stall, "timed out"),
    "endless": (endless, "got 1.0 MB and no end"),
    "slow": (trickle, "and no end"),
    "other bytes": (changed_archive, "hash"),  # of the right arrays
    "other arrays": (one_pixel_changed, "these are not MNIST's"),
}


@pytest.mark.parametrize("fault", BAD_MIRRORS)
def test_a_mirror_that_fails_is_passed_over_and_nothing_is_kept(small, tmp_path, monkeypatch, mirror, capsys, fault):
    for name, value in {"STALL_SECONDS": 0.5, "MIRROR_SECONDS": 1.5, "LARGEST_DOWNLOAD": 10**6}.items():
        monkeypatch.setattr(data, name, value)
    body, reason = BAD_MIRRORS[fault]
    right = {"mnist.npz": npz(small)}
    sent = {"mnist.npz": body(small) if fault.startswith("other") else body}
    bad = mirror(sent, published=sent if fault == "other arrays" else right)
    monkeypatch.setattr(data, "MIRRORS", (bad,))
    begun = time.monotonic()
    assert not load_mnist().whole
    assert time.monotonic() - begun < 10
    notice = capsys.readouterr().out
    assert f"{bad[0]}: " in notice and reason in notice and not (tmp_path / "data").exists()
    monkeypatch.setattr(data, "MIRRORS", (bad, mirror(right)))
    assert_is(load_mnist(), small)


def test_without_a_network_the_sample_comes_within_15_seconds(small, monkeypatch, capsys):
    assert 3 * data.ANSWER_SECONDS < 15
    monkeypatch.setattr(data, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(data, "MIRRORS", ((address, {"mnist.npz": "sha256:"}),) * 3)
        begun = time.monotonic()
        assert not load_mnist().whole
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(20))  # a name server that keeps silent
        assert not load_mnist().whole
        assert time.monotonic() - begun < 10
    assert capsys.readouterr().out.count("got silence") == 6


def test_a_download_that_data_can_not_take_is_kept_elsewhere(one_mirror, small, tmp_path, capsys):
    (tmp_path / "data").write_text("a file where the folder should be")
    assert_is(load_mnist(), small)
    notice = capsys.readouterr().out
    assert "could not be kept" in notice and f"is kept in {tmp_path / 'temporary' / 'mnist.npz'}" in notice
    assert_is(load_mnist(), small)
    assert len(one_mirror.asked) == 1
    assert (tmp_path / "data").is_file()


def test_a_full_disk_is_told_and_not_fatal(one_mirror, small, tmp_path, monkeypatch, capsys):
    def full(file, **_):
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    assert_is(load_mnist(), small)
    assert capsys.readouterr().out.count("No space left") == 2
    assert list((tmp_path / "data").iterdir()) == list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("bad", [None, b"broken"], ids=["nothing there", "a bad file there"])
def test_two_loads_at_once_both_get_a_good_file(one_mirror, small, tmp_path, bad):
    if bad:
        write(tmp_path / "data" / "mnist.npz", bad)
    with ThreadPoolExecutor(2) as pool:
        for mnist in pool.map(lambda _: load_mnist(), range(2)):
            assert_is(mnist, small)
    assert_is(load_mnist(tmp_path / "data" / "mnist.npz"), small)
    others = [path.read_bytes() for path in (tmp_path / "data").iterdir() if path.name != "mnist.npz"]
    assert others == ([bad] if bad else [])


@pytest.fixture
def interrupts():
    """Ctrl-C raises KeyboardInterrupt, also where the tests are a shell's background job, which is born deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="a signal doesn't end the wait for a socket on Windows")
def test_a_download_that_is_interrupted_leaves_nothing(small, tmp_path, monkeypatch, mirror, interrupts):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    in_data = []  # what a process would leave there if it were killed in the middle of the download

    def interrupt(handler):
        start(handler, len(npz(small)))
        handler.wfile.write(npz(small)[:2000])
        time.sleep(0.5)
        in_data.append((tmp_path / "data").exists())
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr(data, "MIRRORS", (mirror({"mnist.npz": interrupt}, published={"mnist.npz": npz(small)}),))
    with pytest.raises(KeyboardInterrupt):
        load_mnist()
    assert in_data == [False] and list((tmp_path / "tmp").iterdir()) == [] and not (tmp_path / "data").exists()


def test_the_mirrors_are_on_different_hosts_and_encrypted():
    addresses = [urlsplit(address) for address, _ in data.MIRRORS]
    assert len({address.hostname for address in addresses}) == len(addresses) >= 2
    assert all(address.scheme == "https" for address in addresses)


def test_a_missing_certificate_is_explained_and_tls_stays_on(small, monkeypatch, capsys):
    import requests

    asked = []

    def unknown_authority(url, **options):
        asked.append(options)
        raise requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer certificate")

    monkeypatch.setattr(requests, "head", lambda url, **options: asked.append(options) or requests.Response())
    monkeypatch.setattr(requests, "get", unknown_authority)
    monkeypatch.setattr(data, "MIRRORS", (("https://example.org/", {"mnist.npz": "sha256:"}),))
    assert not load_mnist().whole
    notice = capsys.readouterr().out
    assert "pip install --upgrade certifi" in notice and "REQUESTS_CA_BUNDLE" in notice
    assert [options.get("verify", True) for options in asked] == [True, True]
    assert asked[-1]["timeout"] == (4, 15)
    asked.clear()
    monkeypatch.setattr(requests, "head", unknown_authority)
    assert not load_mnist().whole and len(asked) == 1, "a mirror that can't be reached isn't asked again"


def test_a_notice_can_be_printed_where_letters_are_missing(small, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "数字"))
    write(tmp_path / "数字" / "datasets" / "mnist.npz", b"broken")
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", screen)
    assert not load_mnist().whole
    assert b"??" in screen.buffer.getvalue()


# --- batches and labels ---


def test_batches_show_every_sample_once_in_shuffled_order():
    parts = list(batches(10, 4, np.random.default_rng(0)))
    assert [len(part) for part in parts] == [4, 4, 2]
    joined = np.concatenate(parts)
    assert sorted(joined) == list(range(10)) and list(joined) != list(range(10))
    np.testing.assert_array_equal(joined, np.concatenate(list(batches(10, 4, np.random.default_rng(0)))))
    for n, size in ((0, 4), (4, 0)):
        with pytest.raises(ValueError, match="at least one"):
            next(batches(n, size, np.random.default_rng(0)))


def test_one_hot_puts_a_single_one_in_the_place_of_the_label():
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 3), np.array([[0, 0, 1], [1, 0, 0]], np.float32), strict=True)
    assert one_hot(np.zeros(0, int), 3).shape == (0, 3)
    for bad in (np.array([3]), np.array([-1]), np.array([0.5]), np.array([[1]])):
        with pytest.raises(ValueError, match="expected"):
            one_hot(bad, 3)
