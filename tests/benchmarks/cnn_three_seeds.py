"""How good is the better network of notebook 02, and how much of that is luck? Three trainings from three seeds, on all of MNIST.

    MNIST_PATH=path/to/mnist.npz python tests/benchmarks/cnn_three_seeds.py

Without MNIST_PATH, `data/mnist.npz` or Keras's copy is used, or MNIST is downloaded. The builder and the training function are
those of the notebook's own cells. Prints for each seed the accuracy on the test images and the time of the training, then mean
and spread. About nine minutes on two cores.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from helpers.data import load_mnist  # noqa: E402
from tests.conftest import notebook_definitions  # noqa: E402


def main() -> None:
    """Train, and print."""
    mnist = load_mnist()
    print(mnist)
    cnn = notebook_definitions("02_keras_cnn_mnist")
    x_train, x_test = cnn.pixels(mnist.x_train), cnn.pixels(mnist.x_test)
    accuracies = []
    for seed in (11, 12, 13):
        start = time.perf_counter()
        network = cnn.train_better(x_train, mnist.y_train, seed=seed)
        seconds = time.perf_counter() - start
        accuracies.append(cnn.accuracy(network, x_test, mnist.y_test))
        print(f"seed {seed}: {accuracies[-1]:.2%}, trained in {seconds:.0f} s", flush=True)
    print(f"mean {np.mean(accuracies):.2%}, from {min(accuracies):.2%} to {max(accuracies):.2%}")


if __name__ == "__main__":
    main()
