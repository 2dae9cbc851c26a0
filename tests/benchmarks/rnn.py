"""Notebook 03: how long the three numbers take to the running sum, and the trip meters from three seeds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from tests.benchmarks.common import Comparison, Stopwatch, main
from tests.notebook_code import fresh_definitions


def sides_of_sum() -> dict[str, Callable[[int], dict]]:
    rnn = fresh_definitions("03_simple_rnn_cumulative_sum")
    keras = rnn.keras
    x, y = rnn.make_series(51_200, 10, np.random.default_rng(rnn.SEED))
    fresh = np.random.default_rng(1).random((1_000, 20))
    sums = fresh.cumsum(axis=1)

    def error(network) -> float:
        W, U, b = (weight.item() for weight in network.get_weights())
        return float(np.sqrt(np.mean((rnn.rnn(fresh, W, U, b) - sums) ** 2)))

    def values(train: Callable, turn: int) -> dict:
        """Train a fresh network, and look at its error after each epoch."""
        keras.utils.set_random_seed(11 + turn)
        network, clock = rnn.build(), Stopwatch()
        train(network, keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: clock.look(lambda: error(network))))
        reached = [(epoch, seconds) for epoch, (seconds, error) in enumerate(clock.curve, start=1) if error <= 1e-6]
        epoch, seconds = reached[0] if reached else (None, None)
        last = clock.curve[-1][1]
        return {"seconds to 1e-6": seconds, "epochs to 1e-6": epoch, "error at the end": last, "curve": clock.curve}

    def classic(network, look) -> None:
        network.compile(keras.optimizers.Adam(0.001), "mean_squared_error")
        network.fit(x, y, batch_size=512, epochs=100, verbose=0, callbacks=[look])

    def ours(network, look) -> None:
        fit = network.fit
        network.fit = lambda *data, callbacks, **options: fit(*data, callbacks=[*callbacks, look], **options)
        rnn.train(network, x, y, "ours")

    return {"classic settings": partial(values, classic), "ours": partial(values, ours)}


def sides_of_trips() -> dict[str, Callable[[int], dict]]:
    rnn = fresh_definitions("03_simple_rnn_cumulative_sum")
    sizes = (12_800, 20), (2_000, 20), (100, 1_000)  # those of the notebook: to learn from, new, and long
    learned, new, long = (rnn.make_trips(*size, np.random.default_rng(rnn.SEED + i)) for i, size in enumerate(sizes))
    halves = np.zeros((1, 40, 2))
    halves[..., 0] = 0.5

    def side(kind: str, turn: int) -> dict[str, float]:
        meter = rnn.train_meter(kind, *learned, seed=rnn.SEED + turn)
        values = {
            "error at 20 steps": rnn.typical_error(meter, *new),
            "error at 1,000 steps": rnn.typical_error(meter, *long),
            "forty halves": meter.predict(halves, verbose=0)[0, -1, 0],
        }
        return {metric: float(value) for metric, value in values.items()}

    return {kind: partial(side, kind) for kind in rnn.KINDS}


COMPARISONS = {
    "rnn-time": Comparison(
        "The running sum, to an error of 1e-6",
        "A SimpleRNN of three numbers on 51,200 series of ten, compiling included. The error is the root of the mean squared "
        "error on 1,000 fresh series of twenty, computed from the three numbers in float64 after each epoch, off the clock. "
        "The classic settings are Adam at 0.001 in batches of 512, at most 100 epochs; ours are the notebook's, to their end.",
        sides_of_sum,
        rounds=3,
    ),
    "rnn-trips": Comparison(
        "The trip meters of notebook 03, three seeds",
        "Each kind trained as in the notebook, the first round with its seed. The errors are root mean squares in kilometres, on "
        "new trips; the last column is the sum at the end of forty halves, which is 20.",
        sides_of_trips,
        rounds=3,
    ),
}

if __name__ == "__main__":
    main(COMPARISONS)
