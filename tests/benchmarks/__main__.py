"""Measure, print the table, write JSON and a figure; see tests/benchmarks/README.md."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from helpers.data import load_mnist  # noqa: E402
from helpers.quiet import quiet  # noqa: E402

with quiet():
    import tensorflow as tf

from tests.benchmarks import report  # noqa: E402
from tests.benchmarks.comparisons import COMPARISONS  # noqa: E402
from tests.benchmarks.harness import RESULTS, Store, complete, in_silence, measure  # noqa: E402


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Measure the series' claims beside its peers."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which comparisons, if not all: {', '.join(COMPARISONS)}")
    parser.add_argument("--anew", action="store_true", help="measure again what has been measured")
    parser.add_argument(
        "--publish", action="store_true", help="put the tables into the README files, with JSON and figure beside them"
    )
    parser.add_argument(
        "--render", action="store_true", help="only write those tables again, from the values that stand beside them"
    )
    options = parser.parse_args(arguments)
    if options.render:
        report.write_pages()
        return 0
    unknown = sorted(set(options.names) - set(COMPARISONS))
    if unknown:
        parser.error(f"expected names among {', '.join(COMPARISONS)}; got {', '.join(unknown)}")
    chosen = [COMPARISONS[name] for name in options.names or COMPARISONS]
    warnings.simplefilter("ignore")
    tf.get_logger().setLevel("ERROR")

    store = Store(RESULTS / "results.json")
    if options.anew:
        for one in chosen:
            store.comparisons.pop(one.name, None)
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"{(time.monotonic() - start) / 60:5.1f} min  {text}", flush=True)

    if not all(complete(one, store.values(one.name)) for one in chosen):
        mnist = load_mnist()
        if not mnist.whole:
            raise SystemExit(f"expected all of MNIST, for which the claims are made; got {mnist.source}")
    try:
        with in_silence():
            for number, one in enumerate(chosen):
                say(f"{number + 1} of {len(chosen)}: {one.title}")
                measure(one, store, say)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here")
        return 130

    shown = {one.name: store.comparisons[one.name] for one in chosen}
    print(f"\n{report.whole_table(shown)}\n{report.stamp_line(store.stamp, shown)}")
    report.draw(store.comparisons, RESULTS / "results.png")
    if options.publish:
        missing = [name for name, one in COMPARISONS.items() if not complete(one, store.values(name))]
        if missing:
            raise SystemExit(f"expected every comparison before publishing; missing: {', '.join(missing)}")
        for name in ("results.json", "results.png"):
            shutil.copyfile(RESULTS / name, report.HERE / name)
        report.write_pages()
    return 0


if __name__ == "__main__":
    sys.exit(main())
