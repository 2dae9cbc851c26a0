"""How many steps a second does the GAN of notebook 04 take, and how many the classic loop of Keras calls that it replaces?

    python tests/benchmarks/gan_step.py

Both train the notebook's own networks at batch 32 (16 real and 16 generated images for the discriminator, in two updates, and 32
for the generator), in one process, in five turns each, one after the other. The classic loop is repaired in the smallest way: its
discriminator is compiled, and takes its first step, before the combined model freezes it, so that it really trains. Prints
medians, ranges and the ratio. About two minutes on two cores.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from helpers.data import load_mnist  # noqa: E402
from tests.conftest import notebook_definitions  # noqa: E402

HALF, BATCH, TURNS = 16, 32, 5


def classic(gan04, images):
    """The classic loop, repaired: a function that takes a number of steps."""
    keras, rng = gan04.keras, np.random.default_rng(0)

    def noise(count):
        return rng.normal(size=(count, gan04.Z_DIM)).astype("float32")

    discriminator = keras.Sequential([gan04.build_discriminator(), keras.layers.Activation("sigmoid")])
    discriminator.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(2e-4, beta_1=0.5))
    discriminator.train_on_batch(images[:HALF], np.ones((HALF, 1)))
    generator = gan04.build_generator()
    discriminator.trainable = False
    combined = keras.Sequential([generator, discriminator])
    combined.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(2e-4, beta_1=0.5))
    real, fake, valid = np.ones((HALF, 1)), np.zeros((HALF, 1)), np.ones((BATCH, 1))

    def steps(count):
        before = discriminator.get_weights()[0]
        for _ in range(count):
            drawn = generator.predict(noise(HALF), verbose=0)
            discriminator.train_on_batch(images[rng.integers(len(images), size=HALF)], real)
            discriminator.train_on_batch(drawn, fake)
            combined.train_on_batch(noise(BATCH), valid)
        assert not np.array_equal(before, discriminator.get_weights()[0]), "the discriminator stands still"

    return steps


def compiled(gan04, images):
    """The notebook's loop."""
    gan = gan04.GAN(images)
    return lambda count: gan.train(count, batch_size=BATCH, save_interval=10**6, at_save=lambda epoch: None)


def main() -> None:
    """Measure, and print."""
    import warnings

    warnings.simplefilter("ignore")  # Keras warns of the frozen discriminator, which is meant here
    mnist = load_mnist("sample")
    gan04 = notebook_definitions("04_mnist_gan")
    loops = {
        "classic loop": (classic(gan04, mnist.x_train[..., None].astype("float32") / 127.5 - 1), 60),
        "compiled loop": (compiled(gan04, mnist.x_train), 1000),
    }
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for loop, _ in loops.values():
        loop(20)  # traced and compiled before the clock starts
    for _ in range(TURNS):
        for name, (loop, count) in loops.items():
            start = time.perf_counter()
            loop(count)
            rates[name].append(count / (time.perf_counter() - start))
    versions = f"TensorFlow {gan04.tf.__version__}, Keras {gan04.keras.__version__}"
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}")
    for name, values in rates.items():
        print(f"{name:14} {np.median(values):6.1f} steps a second, from {min(values):.1f} to {max(values):.1f}")
    print(f"ratio {np.median(rates['compiled loop']) / np.median(rates['classic loop']):.1f}")


if __name__ == "__main__":
    main()
