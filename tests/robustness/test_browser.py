"""In JupyterLab, in a real browser: every notebook runs to its end and shows all of it, and the pad reads what is drawn on it.

    python -m pytest tests/robustness/test_browser.py -k pad

SCREENSHOTS names a folder in which pictures of what was seen are kept.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbconvert.preprocessors import ClearOutputPreprocessor

from tests.notebook_code import NOTEBOOKS, ROOT, code_cells, read

LONGEST = 1200  # seconds that a notebook may take on the sample, on a busy machine
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "notebook-extension/tracker": {"windowingMode": "none"},  # else cells out of sight are not in the page
}
SESSION = "window.jupyterapp?.shell.currentWidget?.sessionContext"
KERNEL = f"{SESSION}?.session?.kernel"
# Run before its kernel is there, JupyterLab would ask for one.
IDLE = f"{SESSION}?.isReady && {KERNEL}?.connectionStatus === 'connected' && {KERNEL}.status === 'idle'"


class Lab:
    """JupyterLab on a copy of the working tree, with all that it writes in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        shutil.copytree(ROOT, self.root, ignore=shutil.ignore_patterns(".git", ".venv", ".run-*", "__pycache__", "mnist.npz"))
        for path in (self.root / "notebooks").glob("*.ipynb"):  # what is seen below has been made below
            nbformat.write(ClearOutputPreprocessor().preprocess(read(path), {})[0], path)
        for name, values in SETTINGS.items():
            path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        written = "JUPYTER_CONFIG_DIR JUPYTER_DATA_DIR JUPYTER_RUNTIME_DIR JUPYTERLAB_WORKSPACES_DIR IPYTHONDIR MPLCONFIGDIR"
        places = {name: str(folder / name.lower()) for name in [*written.split(), "KERAS_HOME"]}
        places.update(JUPYTERLAB_SETTINGS_DIR=str(folder / "settings"), MNIST_PATH="sample")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.token = secrets.token_hex(16)
        options = f"--no-browser --allow-root --ip=127.0.0.1 --port={self.port} --ServerApp.port_retries=0"
        quiet = "--LabApp.extension_manager=readonly --LabApp.expose_app_in_browser=True"
        command = [sys.executable, "-m", "jupyterlab", *options.split(), *quiet.split(), f"--IdentityProvider.token={self.token}"]
        log = folder / "lab.log"
        with log.open("w") as said:
            self.process = subprocess.Popen(command, cwd=self.root, env={**os.environ, **places}, stdout=said, stderr=said)
        start = time.monotonic()
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() - start > 120:
                self.close()
                pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")
            time.sleep(0.3)

    def answers(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        self.process.terminate()  # it ends the kernels that still run
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):  # no server where there is no browser
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


def run_all(lab, browser, name):
    """Open notebooks/NAME in a page of its own, run all its cells as a reader does, and return the page when they are done."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000}, has_touch=True)
    elsewhere = re.compile(rf"^(?!https?://127\.0\.0\.1:{lab.port}/)https?:")
    context.route(elsewhere, lambda route: route.abort())  # the badge's picture; nothing else may need a network
    page = context.new_page()
    page.broken = []
    page.on("pageerror", lambda error: page.broken.append(str(error)))
    page.goto(f"http://127.0.0.1:{lab.port}/lab/tree/notebooks/{name}?reset&token={lab.token}")
    page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell", timeout=120_000)
    page.wait_for_function(IDLE, timeout=120_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    start = time.monotonic()
    while True:
        prompts = page.locator(".jp-CodeCell .jp-InputArea-prompt").all_text_contents()
        failed = page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]').all_text_contents()
        assert not failed, f"{name}:\n{failed[0]}"
        dialogs = page.locator(".jp-Dialog").all_text_contents()
        assert not dialogs, f"{name} is not run before this is answered:\n{dialogs[0]}"
        if page.evaluate(IDLE) and all(re.fullmatch(r"\[\d+\]:", prompt.strip()) for prompt in prompts):
            return page
        assert time.monotonic() - start < LONGEST, f"{name}: not done after {LONGEST} s, cells {prompts}"
        page.wait_for_timeout(1000)


def close(page):
    """End the notebook's kernel and close its page."""
    page.evaluate(f"{SESSION}.shutdown()")
    page.context.close()


def photograph(what, name):
    """A picture of a page or of a part of it, if SCREENSHOTS names a folder."""
    if os.environ.get("SCREENSHOTS"):
        what.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"{name}.png")  # makes the folder


def photograph_all(page, name):
    """Pictures of a whole notebook, a screen each."""
    scroller = page.locator(".jp-WindowedPanel-outer").first
    for number in range(scroller.evaluate("element => Math.ceil(element.scrollHeight / element.clientHeight)")):
        scroller.evaluate("(element, number) => { element.scrollTop = number * element.clientHeight }", number)
        photograph(page, f"{name}-{number:02}")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_to_its_end_and_shows_all_its_figures(path, lab, browser):
    page = run_all(lab, browser, path.name)
    try:
        photograph_all(page, path.stem)
        assert page.locator(".jp-CodeCell").count() == len(code_cells(path))
        assert page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]').all_inner_texts() == []
        widths = "images => images.map((image) => image.naturalWidth)"
        figures = page.locator(".jp-OutputArea-output img").evaluate_all(widths)
        pictures = page.locator('.jp-MarkdownOutput img[src*="pictures/"]').evaluate_all(widths)
        assert len(figures) >= 5 and len(pictures) >= 1 and all(figures + pictures), (figures, pictures)
        targets = page.locator(".jp-MarkdownOutput a[href]").evaluate_all("links => links.map((link) => link.href)")
        ours = {target for target in targets if f"127.0.0.1:{lab.port}/files/" in target}
        broken = [target for target in sorted(ours) if not page.request.get(target).ok]
        assert ours and broken == []
        text = page.locator(".jp-Notebook").inner_text()
        assert not re.search(r"Error displaying widget|Error creating widget|Loading widget|model not found", text)
        for pad in page.locator(".digit-pad").all():
            assert "reads" in pad.get_by_role("status").inner_text()
        assert page.broken == []
    finally:
        close(page)


# --- the pad ---

SCRATCH = """
import sys
sys.path.insert(0, "..")
import numpy as np
from helpers.data import load_mnist
from helpers.drawing import drawing_pad

mnist = load_mnist()
known = mnist.x_train.reshape(-1, 784) / 255.0
known /= np.linalg.norm(known, axis=1, keepdims=True)

def neighbours(image):
    likest = np.argsort(known @ image.ravel())[-9:]
    return np.bincount(mnist.y_train[likest], minlength=10) / 9

means = np.stack([mnist.x_train[mnist.y_train == digit].mean(axis=0).ravel() for digit in range(10)]) / 255

def likeness(image):
    powers = np.exp(30 * np.array([np.corrcoef(mean, image.ravel())[0, 1] for mean in means]))
    return powers / powers.sum()

pad = drawing_pad({"neighbours": neighbours, "likeness": likeness}, ready=mnist.x_test[0])
"""

DIGITS = {  # strokes of points (x, y), in hundredths of the paper's side
    1: [[(52, 15), (50, 50), (48, 85)]],
    7: [[(25, 20), (50, 19), (74, 20), (60, 50), (48, 84)]],
    4: [[(36, 14), (30, 35), (27, 53), (50, 52), (74, 50)], [(66, 16), (64, 50), (61, 86)]],
    0: [[(50, 14), (32, 24), (25, 50), (32, 76), (50, 86), (68, 76), (75, 50), (68, 24), (50, 14)]],
}


@pytest.fixture(scope="module")
def pad(lab, browser):
    """The pad in JupyterLab, with two simple classifiers on the sample."""
    kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SCRATCH.strip())], metadata={"kernelspec": kernelspec})
    nbformat.write(notebook, lab.root / "notebooks" / "scratch.ipynb")
    page = run_all(lab, browser, "scratch.ipynb")
    pad = page.locator(".digit-pad")
    pad.wait_for(timeout=60_000)
    pad.scroll_into_view_if_needed()
    yield pad
    close(page)


def status(pad):
    """What the pad says, once the kernel has answered."""
    pad.locator('[role=status][aria-busy="false"]').wait_for(timeout=60_000)
    return pad.get_by_role("status").inner_text()


def ink(pad):
    """How many points of the paper are drawn on."""
    count = "paper => paper.getContext('2d').getImageData(0, 0, 280, 280).data.filter((value, i) => i % 4 == 3 && value).length"
    return pad.locator("canvas.paper").evaluate(count)


def clear(pad):
    pad.get_by_role("button", name="Clear").click()
    assert status(pad).startswith("The ready digit") and ink(pad) == 0


def draw(pad, digit, pointer):
    """Draw as a reader does, stroke by stroke, with events that the browser itself makes of a mouse, a finger or a pen."""
    page = pad.page
    box = pad.locator("canvas.paper").bounding_box()
    session = page.context.new_cdp_session(page)

    def send(kind, x, y):
        if pointer == "touch":
            points = [] if kind == "Released" else [{"x": x, "y": y}]
            name = {"Pressed": "touchStart", "Moved": "touchMove", "Released": "touchEnd"}[kind]
            session.send("Input.dispatchTouchEvent", {"type": name, "touchPoints": points})
        else:
            button = {"button": "left", "buttons": 0 if kind == "Released" else 1, "clickCount": 1, "pointerType": pointer}
            session.send("Input.dispatchMouseEvent", {"type": f"mouse{kind}", "x": x, "y": y, **button})

    for line in DIGITS[digit]:
        points = [(box["x"] + x / 100 * box["width"], box["y"] + y / 100 * box["height"]) for x, y in line]
        send("Pressed", *points[0])
        for (x0, y0), (x1, y1) in zip(points, points[1:]):
            for part in (0.25, 0.5, 0.75, 1):
                send("Moved", x0 + part * (x1 - x0), y0 + part * (y1 - y0))
        send("Released", *points[-1])
        said = status(pad)
    session.detach()
    return said


def test_the_pad_shows_and_reads_the_ready_digit_until_there_is_a_drawing(pad):
    assert re.match(r"The ready digit: neighbours reads \d \(\d+ %\); likeness reads \d", status(pad))
    assert pad.locator(".bar").count() == 20
    labels = pad.locator(".bars").evaluate_all("bars => bars.map((each) => each.getAttribute('aria-label'))")
    assert [label.split(":")[0] for label in labels] == ["neighbours", "likeness"]


@pytest.mark.parametrize("pointer", ["mouse", "touch", "pen"])
def test_digits_drawn_on_the_pad_are_read(pad, pointer):
    read = {}
    for digit in DIGITS:
        clear(pad)
        said = draw(pad, digit, pointer)
        assert ink(pad) > 2000
        read[digit] = int(re.match(r"neighbours reads (\d) \(\d+ %\); likeness reads \d \(\d+ %\)\.", said)[1])
    photograph(pad, f"pad-{pointer}")
    assert sum(digit == answer for digit, answer in read.items()) >= 3, read


def test_the_pad_is_cleared_from_the_keyboard(pad):
    draw(pad, 7, "mouse")
    assert ink(pad) > 0
    cells = pad.page.locator(".jp-Cell").count()
    pad.locator("canvas.paper").focus()
    pad.page.keyboard.press("Tab")
    assert pad.page.evaluate("document.activeElement.textContent") == "Clear"
    pad.page.keyboard.press("Enter")
    assert status(pad).startswith("The ready digit") and ink(pad) == 0
    assert pad.page.locator(".jp-Cell").count() == cells


def test_the_pad_has_names_for_screen_readers(pad):
    assert pad.get_by_role("img", name=re.compile("Paper to draw one digit on.*Press Tab")).count() == 1
    assert pad.get_by_role("img", name=re.compile("The digit as it is read, centred")).count() == 1
    assert pad.get_by_role("button", name="Clear").count() == 1
    assert pad.get_by_role("status").get_attribute("aria-live") == "polite"


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_the_pad_can_be_read_in_either_theme(pad, theme):
    page = pad.page
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    page.locator(f'body[data-jp-theme-name="{theme}"]').wait_for(state="attached")
    page.wait_for_timeout(500)
    clear(pad)
    draw(pad, 4, "mouse")
    photograph(pad, f"pad-{theme.split()[1].lower()}")
    colours = pad.evaluate("pad => [getComputedStyle(pad).color, getComputedStyle(pad).backgroundColor]")
    light = [sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 765 for colour in colours]
    assert abs(light[0] - light[1]) > 0.7, colours


def test_the_pad_keeps_its_drawing_when_the_page_is_loaded_again(pad):
    clear(pad)
    said, before = draw(pad, 7, "mouse"), ink(pad)
    pad.page.keyboard.press("Control+s")
    pad.page.wait_for_timeout(1000)
    pad.page.reload()
    pad.wait_for(timeout=120_000)
    assert status(pad) == said and 0.8 * before < ink(pad) < 1.5 * before
