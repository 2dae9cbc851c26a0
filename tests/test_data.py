"""Where MNIST comes from, and what happens when what comes is not MNIST."""

import gzip
import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from helpers import data
from helpers.data import DataError, batches, load_mnist, one_hot

SHAPES = {"x_train": (60, 28, 28), "y_train": (60,), "x_test": (10, 28, 28), "y_test": (10,)}


def npz(arrays) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def idx(array) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(header + array.tobytes())


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A set of 70 pictures that stands for MNIST, with its own checksums, in a folder of its own, and no mirror."""
    rng = np.random.default_rng(7)
    arrays = {name: rng.integers(0, 256, shape).astype(np.uint8) for name, shape in SHAPES.items()}
    digests = {name: (array.shape, hashlib.sha256(array.tobytes()).hexdigest()) for name, array in arrays.items()}
    monkeypatch.setattr(data, "ARRAYS", digests)
    monkeypatch.setattr(data, "DATA_FOLDER", tmp_path / "data")
    monkeypatch.setattr(data, "MIRRORS", ())
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("MNIST_PATH", raising=False)
    monkeypatch.setattr(data, "figure_note", "")
    return arrays


@pytest.fixture
def mirror():
    """A web server on the loopback: `mirror(path, body)` serves it; a callable body plays the whole answer itself."""
    answers, asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = answers.get(self.path)
            if body is None:
                self.send_error(404)
            elif callable(body):
                body(self)
            else:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that hangs up is part of the play
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def serve(path, body):
        answers[path] = body
        return f"http://127.0.0.1:{server.server_port}{path}"

    serve.asked = asked
    yield serve
    server.shutdown()
    server.server_close()


def write(path, body: bytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def assert_is(mnist, arrays):
    assert mnist.whole
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(mnist, name), array)


# --- the order of the search ---


def test_a_path_comes_before_everything_else(small, tmp_path):
    write(tmp_path / "data" / "mnist.npz", b"not looked at")
    assert_is(load_mnist(write(tmp_path / "mine.npz", npz(small))), small)
    assert (tmp_path / "data" / "mnist.npz").read_bytes() == b"not looked at"


def test_the_variable_mnist_path_names_a_file_or_the_sample(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_PATH", str(write(tmp_path / "mine.npz", npz(small))))
    assert_is(load_mnist(), small)
    monkeypatch.setenv("MNIST_PATH", "sample")
    assert load_mnist().source == "the embedded sample of MNIST"
    assert data.figure_note == "" and capsys.readouterr().out == "", "asked for by name, the sample is no surprise"


def test_the_folder_data_comes_before_kerass_cache(small, tmp_path):
    write(tmp_path / "data" / "mnist.npz", npz(small))
    write(tmp_path / "keras" / "datasets" / "mnist.npz", b"not looked at")
    assert_is(load_mnist(), small)


def test_kerass_cache_is_read_and_never_written(small, tmp_path):
    cached = write(tmp_path / "keras" / "datasets" / "mnist.npz", npz(small))
    before = cached.read_bytes()
    assert_is(load_mnist(), small)
    assert cached.read_bytes() == before and not (tmp_path / "data").exists()


def test_a_bad_copy_in_kerass_cache_is_passed_over_with_a_notice(small, tmp_path, monkeypatch, mirror, capsys):
    cached = write(tmp_path / "keras" / "datasets" / "mnist.npz", b"broken")
    monkeypatch.setattr(data, "MIRRORS", (mirror("/mnist.npz", npz(small)),))
    assert_is(load_mnist(), small)
    assert cached.read_bytes() == b"broken"
    notice = capsys.readouterr().out
    assert "Keras's copy is passed over" in notice and "zip" in notice and "MNIST_PATH=sample" in notice


def test_a_bad_file_in_data_is_set_aside_and_replaced(small, tmp_path, monkeypatch, mirror, capsys):
    own = write(tmp_path / "data" / "mnist.npz", npz(small)[:-200])
    monkeypatch.setattr(data, "MIRRORS", (mirror("/mnist.npz", npz(small)),))
    assert_is(load_mnist(), small)
    assert_is(load_mnist(own), small)
    assert (tmp_path / "data" / "mnist.bad").read_bytes() == npz(small)[:-200]
    assert "set aside as mnist.bad" in capsys.readouterr().out


def test_a_file_in_data_that_may_not_be_read_is_left_where_it_is(small, tmp_path, monkeypatch, capsys):
    own = write(tmp_path / "data" / "mnist.npz", npz(small))
    monkeypatch.setattr(data, "read_npz", lambda path: (_ for _ in ()).throw(data.Unreadable("no permission")))
    assert not load_mnist().whole
    assert own.exists() and "no permission" in capsys.readouterr().out


# --- the embedded sample ---


def test_the_sample_is_real_mnist_split_once_for_everybody(sample):
    assert sample.x_train.shape == (4000, 28, 28) and sample.x_test.shape == (1000, 28, 28)
    assert sample.x_train.dtype == sample.y_train.dtype == np.uint8 and not sample.whole
    labels = np.concatenate([sample.y_train, sample.y_test])
    np.testing.assert_array_equal(np.bincount(labels), [500] * 10)
    assert hashlib.sha256(sample.x_test.tobytes()).hexdigest().startswith("810669cbfd3d0a98")
    assert str(sample) == "the embedded sample of MNIST: 4,000 training and 1,000 test images"


def test_no_image_of_the_sample_is_in_both_of_its_parts(sample):
    training = {image.tobytes() for image in sample.x_train}
    assert not any(image.tobytes() in training for image in sample.x_test)


def test_with_nothing_reachable_the_sample_stands_in_and_says_so_on_figures_too(small, monkeypatch, capsys):
    monkeypatch.setattr(data, "MIRRORS", ("http://127.0.0.1:9/mnist.npz",))
    assert load_mnist().source == "the embedded sample of MNIST"
    notice = capsys.readouterr().out
    assert "EMBEDDED SAMPLE" in notice and "MNIST_PATH" in notice and "127.0.0.1:9" in notice
    assert "sample" in data.figure_note


def test_a_later_load_of_the_whole_set_takes_the_note_off_the_figures(small, tmp_path):
    assert not load_mnist().whole and data.figure_note
    load_mnist(write(tmp_path / "mine.npz", npz(small)))
    assert data.figure_note == ""


def test_a_machine_that_swallows_everything_is_given_up_within_fifteen_seconds(small, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(data, "MIRRORS", (address + "mnist.npz", address, address + "other.npz"))
        start = time.monotonic()
        assert not load_mnist().whole
        assert time.monotonic() - start < 15


# --- files that are not MNIST ---


def corruptions(arrays):
    good = npz(arrays)
    changed = {**arrays, "x_train": arrays["x_train"].copy()}
    changed["x_train"][5, 5, 5] ^= 1
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    pickled = io.BytesIO()
    np.savez(pickled, **{**arrays, "y_test": np.array([os.getcwd, None], dtype=object)})
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in arrays:
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**12,)})
            archive.writestr(f"{name}.npy", header.getvalue() + bytes(10**6))
    overlong = io.BytesIO()
    with zipfile.ZipFile(overlong, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array)
            archive.writestr(f"{name}.npy", member.getvalue() + bytes(10**7))
    return {
        "empty": (b"", "zip"),
        "a page of HTML": (b"<html>Too many requests</html>", "zip"),
        "truncated": (good[: len(good) // 2], "zip"),
        "one byte changed in the file": (bytes(flipped), "x_train"),
        "one pixel changed": (npz(changed), "sha256"),
        "a missing array": (npz({name: array for name, array in arrays.items() if name != "y_test"}), "y_test.npy"),
        "an array too many": (npz({**arrays, "more": arrays["y_test"]}), "more.npy"),
        "a wrong shape": (npz({**arrays, "x_test": arrays["x_test"].reshape(10, 784)}), r"\(10, 28, 28\)"),
        "a wrong type": (npz({**arrays, "y_test": arrays["y_test"].astype(float)}), "uint8"),
        "a pickle inside": (pickled.getvalue(), "uint8"),
        "a bomb by its header": (bomb.getvalue(), "x_train"),
        "a bomb by its length": (overlong.getvalue(), "more"),
    }


FAULTS = (
    "empty",
    "a page of HTML",
    "truncated",
    "one byte changed in the file",
    "one pixel changed",
    "a missing array",
    "an array too many",
    "a wrong shape",
    "a wrong type",
    "a pickle inside",
    "a bomb by its header",
    "a bomb by its length",
)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_given_by_path_is_named_explained_and_left_alone(small, tmp_path, fault):
    body, reason = corruptions(small)[fault]
    path = write(tmp_path / "given.npz", body)
    with pytest.raises(DataError, match=reason) as caught:
        load_mnist(path)
    message = str(caught.value)
    assert "given.npz" in message and "expected" in message and "got" in message and "MNIST_PATH=sample" in message
    assert path.read_bytes() == body


def test_a_missing_file_and_a_folder_are_errors_in_words(small, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="absent.npz.*no such file.*MNIST_PATH=sample"):
        load_mnist(tmp_path / "absent.npz")
    with pytest.raises(DataError, match="expected a readable file"):
        load_mnist(tmp_path)
    monkeypatch.setenv("MNIST_PATH", str(tmp_path / "absent.npz"))
    with pytest.raises(DataError, match="no such file"):
        load_mnist()


def test_nothing_in_the_project_unpickles():
    for path in [*data.DATA_FOLDER.parent.glob("helpers/*.py"), *data.DATA_FOLDER.parent.glob("notebooks/*.ipynb")]:
        text = path.read_text(encoding="utf-8")
        assert "allow_pickle=True" not in text and "import pickle" not in text, path.name


# --- downloads ---


def test_a_download_is_kept_whole_and_used_the_next_time(small, tmp_path, monkeypatch, mirror):
    monkeypatch.setattr(data, "MIRRORS", (mirror("/mnist.npz", npz(small)),))
    assert_is(load_mnist(), small)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mnist.npz"]
    assert_is(load_mnist(), small)
    assert len(mirror.asked) == 1


def test_a_mirror_may_hold_the_four_files_of_the_original_publication(small, monkeypatch, mirror):
    for name, file in data.IDX_FILES.items():
        folder = mirror(f"/mnist/{file}", idx(small[name])).rsplit("/", 1)[0] + "/"
    monkeypatch.setattr(data, "MIRRORS", (folder,))
    assert_is(load_mnist(), small)


def cut_off(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b"PK" * 1000)


def redirect_to_html(handler):
    if handler.path.endswith("html"):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"<html>please log in</html>")
    else:
        handler.send_response(302)
        handler.send_header("Location", "/login.html")
        handler.end_headers()


def stall(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b"PK" * 1000)
    handler.wfile.flush()
    time.sleep(3)


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(1 << 16))


FIRST_MIRRORS = {"dead": None, "cut off": cut_off, "HTML": redirect_to_html, "stalled": stall, "endless": endless}


@pytest.mark.parametrize("fault", [*FIRST_MIRRORS, "404", "wrong bytes"])
def test_a_first_mirror_that_fails_is_passed_over_and_a_bad_download_is_not_kept(small, tmp_path, monkeypatch, mirror, fault):
    monkeypatch.setattr(data, "STALL_SECONDS", 0.5)
    monkeypatch.setattr(data, "LARGEST_DOWNLOAD", 2**24)
    body = FIRST_MIRRORS.get(fault) or corruptions(small)["one pixel changed"][0]
    first = "http://127.0.0.1:9/mnist.npz" if fault == "dead" else mirror("/nothing" if fault == "404" else "/first.npz", body)
    if fault == "HTML":
        mirror("/login.html", redirect_to_html)
    first = first.replace("/nothing", "/really-nothing")
    monkeypatch.setattr(data, "MIRRORS", (first,))
    assert not load_mnist().whole
    assert not (tmp_path / "data").exists()
    monkeypatch.setattr(data, "MIRRORS", (first, mirror("/good.npz", npz(small))))
    assert_is(load_mnist(), small)


def test_no_room_or_no_permission_to_keep_a_download_is_told_and_not_fatal(small, tmp_path, monkeypatch, mirror, capsys):
    monkeypatch.setattr(data, "MIRRORS", (mirror("/mnist.npz", npz(small)),))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", full)
        assert_is(load_mnist(), small)
    assert "No space left" in capsys.readouterr().out
    assert list((tmp_path / "data").iterdir()) == []
    (tmp_path / "data").rmdir()
    (tmp_path / "data").write_text("a file where the folder should be")
    assert_is(load_mnist(), small)
    assert "could not be kept" in capsys.readouterr().out


def test_a_mirror_that_was_given_up_is_read_no_further(small, monkeypatch, mirror):
    monkeypatch.setattr(data, "LARGEST_DOWNLOAD", 2**20)
    url = mirror("/endless.npz", endless)
    with pytest.raises(DataError, match="and no end"):
        data._fetch(url, time.monotonic() + 10)
    end = time.monotonic() + 5
    while any(thread.name == f"reading {url}" for thread in threading.enumerate()):
        assert time.monotonic() < end, "the thread goes on reading"
        time.sleep(0.01)


CHILD = """
import signal, sys
from pathlib import Path
import numpy as np
from helpers import data
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born deaf to it
arrays = dict(np.load(sys.argv[1]))
data.ARRAYS = {name: (array.shape, data._sha256(array)) for name, array in arrays.items()}
data.DATA_FOLDER, data.MIRRORS = Path(sys.argv[2]), (sys.argv[3],)
print("ready", flush=True)
print(data.load_mnist().whole)
"""


def child(small, tmp_path, url):
    reference = write(tmp_path / "reference.npz", npz(small))
    environment = {**os.environ, "KERAS_HOME": str(tmp_path / "keras"), "PYTHONPATH": str(data.__file__).rsplit("helpers", 1)[0]}
    environment.pop("MNIST_PATH", None)
    command = [sys.executable, "-c", CHILD, str(reference), str(tmp_path / "data"), url]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def test_two_processes_that_load_at_once_both_get_a_good_file(small, tmp_path, mirror):
    url = mirror("/mnist.npz", npz(small))
    children = [child(small, tmp_path, url) for _ in range(2)]
    assert all("True" in process.communicate(timeout=60)[0] for process in children)
    assert_is(load_mnist(tmp_path / "data" / "mnist.npz"), small)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mnist.npz"]


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGINT for another process")
@pytest.mark.parametrize("sent", [signal.SIGINT, getattr(signal, "SIGKILL", signal.SIGINT)])
def test_an_interrupt_or_a_kill_during_a_download_leaves_nothing_behind(small, tmp_path, mirror, sent):
    reached = threading.Event()

    def slow(handler):
        stall_now = npz(small)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(stall_now)))
        handler.end_headers()
        handler.wfile.write(stall_now[:1000])
        handler.wfile.flush()
        reached.set()
        time.sleep(5)

    process = child(small, tmp_path, mirror("/mnist.npz", slow))
    assert reached.wait(30)
    time.sleep(0.2)
    process.send_signal(sent)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert not (tmp_path / "data").exists() or list((tmp_path / "data").iterdir()) == []


def test_with_the_data_at_hand_no_socket_is_opened(small, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    write(tmp_path / "data" / "mnist.npz", npz(small))
    monkeypatch.setattr(data, "MIRRORS", ("http://127.0.0.1:9/mnist.npz",))
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(data, "urlopen", refuse)
    assert_is(load_mnist(), small)
    assert not load_mnist("sample").whole


def test_the_mirrors_are_on_different_hosts_and_encrypted():
    from urllib.parse import urlsplit

    hosts = [urlsplit(mirror).hostname for mirror in data.MIRRORS]
    assert len(set(hosts)) == len(hosts) >= 2 and all(mirror.startswith("https://") for mirror in data.MIRRORS)
    assert "yann.lecun.com" not in hosts


def test_a_missing_certificate_is_explained_and_never_answered_by_trusting_everybody():
    assert "Install Certificates.command" in data._explain(OSError("[SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer"))
    source = Path(data.__file__).read_text(encoding="utf-8")
    assert "_create_unverified_context" not in source and "CERT_NONE" not in source


# --- batches, labels, lightness ---


def test_batches_show_every_sample_once_in_shuffled_order():
    parts = list(batches(10, 4, np.random.default_rng(0)))
    assert [len(part) for part in parts] == [4, 4, 2]
    joined = np.concatenate(parts)
    assert sorted(joined) == list(range(10)) and list(joined) != list(range(10))
    np.testing.assert_array_equal(joined, np.concatenate(list(batches(10, 4, np.random.default_rng(0)))))
    with pytest.raises(ValueError, match="at least one"):
        next(batches(0, 4, np.random.default_rng(0)))


def test_one_hot_puts_a_single_one_in_the_place_of_the_label():
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
    for bad in (np.array([3]), np.array([-1]), np.array([0.5]), np.array([[1]])):
        with pytest.raises(ValueError, match="expected"):
            one_hot(bad, 3)


def test_importing_the_helpers_is_light():
    code = (
        "import sys; import helpers.data, helpers.plotting, helpers.exercises; "
        "print([m for m in ('tensorflow', 'keras', 'pandas', 'scipy', 'sklearn') if m in sys.modules])"
    )
    root = str(data.__file__).rsplit("helpers", 1)[0]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
