"""Notebook 03: how long the three numbers take to their goal."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.harness import Metric, Side, Stopwatch, Values, comparison, notebook


@comparison(
    "The running sum, to an error of 1e-6",
    Metric("seconds to 1e-6"),
    Metric("epochs to 1e-6"),
    Metric("error at the end"),
    rounds=3,
)
def rnn_time() -> dict[str, Side]:
    """A SimpleRNN of three numbers on 51,200 series of ten, compiling included. The error is the root of the mean squared error
    on 1,000 fresh series of twenty, computed from the three numbers in float64 after each epoch, off the clock. The classic
    settings are Adam at 0.001 in batches of 512, at most 100 epochs; ours are the notebook's, to their end."""
    rnn = notebook("03_simple_rnn_cumulative_sum")
    keras = rnn.keras
    x, y = rnn.make_series(51_200, 10, np.random.default_rng(rnn.SEED))
    fresh = np.random.default_rng(1).random((1_000, 20))
    sums = fresh.cumsum(axis=1)

    class Look(keras.callbacks.Callback):
        def __init__(self, clock: Stopwatch) -> None:
            super().__init__()
            self.clock, self.curve = clock, []

        def on_epoch_end(self, epoch, logs=None):
            with self.clock.paused():
                W, U, b = (weight.item() for weight in self.model.get_weights())
                error = float(np.sqrt(np.mean((rnn.rnn(fresh, W, U, b) - sums) ** 2)))
                self.curve.append([self.clock.seconds, error])

    def values(look: Look) -> Values:
        reached = next(((epoch + 1, seconds) for epoch, (seconds, error) in enumerate(look.curve) if error <= 1e-6), (None, None))
        return {
            "seconds to 1e-6": reached[1],
            "epochs to 1e-6": reached[0],
            "error at the end": look.curve[-1][1],
            "curve": look.curve,
        }

    def classic(turn: int) -> Values:
        keras.utils.set_random_seed(11 + turn)
        network, clock = rnn.build(), Stopwatch()
        look = Look(clock)
        with clock:
            network.compile(keras.optimizers.Adam(0.001), "mean_squared_error")
            network.fit(x, y, batch_size=512, epochs=100, verbose=0, callbacks=[look])
        return values(look)

    def ours(turn: int) -> Values:
        keras.utils.set_random_seed(11 + turn)
        network, clock = rnn.build(), Stopwatch()
        look, fit = Look(clock), network.fit
        network.fit = lambda *data, callbacks, **options: fit(*data, callbacks=[*callbacks, look], **options)
        with clock:
            rnn.train(network, x, y, "ours")
        return values(look)

    return {"classic settings": classic, "ours": ours}
