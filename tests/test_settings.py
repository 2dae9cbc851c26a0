"""A reader's own settings of Keras, TensorFlow and Matplotlib don't reach the notebooks, and failures are not hushed up."""

import json
import os
import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from helpers.quiet import prepare_keras, quiet
from tests.notebook_code import NOTEBOOKS, ROOT, fresh_definitions


def python(code, folder=ROOT, **environment):
    """The standard output of `code` in a fresh interpreter that starts in `folder`."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- Matplotlib ---

STRANGE = """
image.origin: lower
image.interpolation: bilinear
image.cmap: jet
text.usetex: True
text.color: white
figure.facecolor: black
figure.autolayout: True
axes.facecolor: 222222
axes.formatter.use_locale: True
savefig.facecolor: black
savefig.transparent: True
savefig.bbox: standard
savefig.dpi: 600
lines.linewidth: 9
font.size: 30
"""
DRAW = """
import matplotlib
import numpy as np
from helpers import plotting
print(matplotlib.get_backend())
plotting.get_ipython = lambda: "a kernel"
plotting.display = lambda bundle, **_: print(bundle["image/png"])
plotting.plot_images(np.eye(28)[:14][None], ["a caption"], title="A title", alt="Half a diagonal")
plotting.plot_lines([1, 2000], {"a": [0.5, 2], "b": [1, 1]}, title="A title", xlabel="x", ylabel="y", alt="Lines")
"""


def test_figures_are_the_same_whatever_a_matplotlibrc_says(tmp_path):
    drawn = []
    for settings in ("", STRANGE):
        (tmp_path / "matplotlibrc").write_text(settings)
        backend, *figures = python(DRAW, folder=tmp_path, MPLBACKEND="module://matplotlib_inline.backend_inline").split()
        assert "inline" in backend and len(figures) == 2, "the backend that was chosen stays"
        drawn.append(figures)
    assert drawn[0] == drawn[1]


# --- Keras and TensorFlow ---


def test_importing_helpers_chooses_tensorflow_and_keeps_other_settings():
    names = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS", "TF_FORCE_GPU_ALLOW_GROWTH")
    code = f"import os, helpers; print(*[os.environ[name] for name in {names}])"
    assert python(code, **dict(zip(names, ("jax", "0", "0", "false")))) == "tensorflow 0 0 false\n"
    without = f"import os\nfor name in {names}: os.environ.pop(name, None)\n"
    assert python(without + code) == "tensorflow 3 1 true\n"


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("helpers.data", "matplotlib PIL scipy skimage requests pooch pandas sklearn tensorflow keras"),
        ("helpers.drawing", "matplotlib PIL anywidget ipywidgets pandas sklearn tensorflow keras"),
        ("helpers.plotting, helpers.diagrams, helpers.exercises.gan", "scipy skimage pooch pandas sklearn tensorflow keras"),
    ],
)
def test_importing_the_helpers_is_light(modules, heavy):
    code = f"import sys; import {modules}; print([name for name in {heavy.split()} if name in sys.modules])"
    assert python(code) == "[]\n"


def test_keras_works_as_usual_whatever_keras_json_says(tmp_path):
    settings = {"backend": "torch", "floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    code = """
import numpy as np
from helpers.quiet import prepare_keras, quiet
with quiet():
    import keras
prepare_keras()
layer = keras.layers.Conv2D(4, 3)
layer.build((None, 28, 28, 1))
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
epochs = len(model.fit(np.ones((2, 1)), np.ones(2), epochs=3, verbose=0).epoch)
print(keras.config.backend(), keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format(),
      layer.kernel.shape, layer.kernel.dtype, epochs, sep=" | ")
"""
    said = python(code, KERAS_HOME=str(tmp_path), KERAS_BACKEND="jax", KERAS_MAX_EPOCHS="1").strip()
    assert said == "tensorflow | float32 | 1e-07 | channels_last | (3, 3, 1, 4) | float32 | 3"


def test_products_are_not_rounded_to_tf32_and_mixed_precision_ends():
    keras.config.set_dtype_policy("mixed_float16")
    tf.config.experimental.enable_tensor_float_32_execution(True)
    prepare_keras()
    assert keras.config.dtype_policy().name == "float32"
    assert not tf.config.experimental.tensor_float_32_execution_enabled()


def test_keras_imported_on_another_backend_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="backend tensorflow, got jax.*Restart the kernel"):
        prepare_keras()


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_a_notebook_prepares_keras_where_it_imports_it(path):
    keras.config.set_epsilon(0.1)
    fresh_definitions(path.stem)
    assert keras.config.epsilon() == 1e-7


# --- what libraries write while they are imported ---


def test_what_is_written_in_a_quiet_block_is_dropped(capfd):
    with quiet():
        os.write(2, b"chatter")
        print("more chatter", file=sys.__stderr__)
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


@pytest.mark.parametrize("failure", [ImportError("no library"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_what_was_written_before_a_failure_is_shown(capfd, failure):
    with pytest.raises(type(failure)), quiet():
        os.write(2, b"libsomething.so is missing \xff\n")
        raise failure
    os.write(2, b"heard")
    assert capfd.readouterr().err == "libsomething.so is missing �\nheard"


def test_quiet_bears_a_program_without_sys_stderr(capfd, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", None)
        with quiet():
            os.write(2, b"chatter")
        with pytest.raises(ImportError), quiet():
            os.write(2, b"chatter")
            raise ImportError("no library")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_quiet_bears_a_program_whose_stderr_is_closed():
    code = "import os; os.close(2)\nfrom helpers.quiet import quiet\nwith quiet(): print('inside')"
    assert python(code) == "inside\n"


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="Linux lists the files that are open")
def test_quiet_leaves_no_file_open():
    before = len(os.listdir("/proc/self/fd"))
    with quiet():
        pass
    assert len(os.listdir("/proc/self/fd")) == before
