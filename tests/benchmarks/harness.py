"""Comparisons, and how they are measured: every side in turn, round after round, each value kept as soon as it is there."""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import io
import json
import os
import platform
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import nbformat

from helpers import plotting
from tests.notebook_code import ROOT, fresh_definitions

RESULTS = ROOT / "tests" / "benchmarks" / "results"
NAMED = ("numpy", "tensorflow", "keras", "scikit-learn", "torch")

# What one turn of a side gives: metric → value, None where the goal was not reached; "curve" → [[x, y], …]
Values = dict[str, float | None | list]
Side = Callable[[int], "Values | float"]


@dataclass(frozen=True)
class Metric:
    """What a value counts. `better` is "less", "more", or "" where a ratio says nothing."""

    name: str
    better: str = "less"


@dataclass(frozen=True)
class Comparison:
    """Sides that do the same work. `prepare` makes them: name → function of the round's number.

    A side returns metric → value, or one number for the only metric. `ours` is the side that the others are set in relation to.
    A side in `once` is measured in the first round only; `peers` need PyTorch, and are left out where it is not installed.
    """

    name: str
    title: str
    metrics: tuple[Metric, ...]
    prepare: Callable[[], dict[str, Side]]
    rounds: int
    ours: str
    once: tuple[str, ...]
    peers: tuple[str, ...]

    @property
    def description(self) -> str:
        return " ".join((self.prepare.__doc__ or "").split())


REGISTERED: dict[str, Comparison] = {}


def comparison(
    title: str, *metrics: Metric, rounds: int = 5, ours: str = "ours", once: tuple[str, ...] = (), peers: tuple[str, ...] = ()
) -> Callable:
    """Register the decorated function as a comparison, named as it is; its docstring is what readers of the table are told."""

    def register(prepare: Callable[[], dict[str, Side]]) -> Callable:
        name = prepare.__name__.replace("_", "-")
        REGISTERED[name] = Comparison(name, title, metrics or (Metric("seconds"),), prepare, rounds, ours, once, peers)
        return prepare

    return register


def has_torch() -> bool:
    """Whether the optional peer is installed."""
    return importlib.util.find_spec("torch") is not None


class Stopwatch:
    """Seconds that run only inside `with stopwatch:`, and, between, inside no `with stopwatch.paused():`."""

    def __init__(self) -> None:
        self.seconds, self.since = 0.0, 0.0

    def __enter__(self) -> Stopwatch:
        self.since = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self.since

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock for what is measured on the way."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()


def seconds_a_call(function: Callable[[], object], at_least: float = 0.5) -> float:
    """The mean time of a call, over as many calls as fill `at_least` seconds."""
    calls, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < at_least or not calls:
        function()
        calls += 1
    return spent / calls


def seconds_of(work: Callable[[int], object]) -> Side:
    """A side whose value is how long one call of `work` takes."""

    def side(turn: int) -> float:
        start = time.perf_counter()
        work(turn)
        return time.perf_counter() - start

    return side


def notebook(name: str) -> types.SimpleNamespace:
    """A fresh copy of what a notebook defines; its functions see what is set in it."""
    return fresh_definitions(name)


def cell_of(names: types.SimpleNamespace, text: str) -> str:
    """The source of the one cell that contains `text`, of the notebook of `names`. Raises LookupError if there isn't one."""
    path = ROOT / "notebooks" / f"{names.__name__}.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    found = [cell.source for cell in cells if cell.cell_type == "code" and text in cell.source]
    if len(found) != 1:
        raise LookupError(f"expected one cell of {path.name} with {text!r}, found {len(found)}")
    return found[0]


def run_cell(names: types.SimpleNamespace, text: str) -> None:
    """Execute, among `names`, the one cell of their notebook that contains `text`; what it prints is not shown."""
    with redirect_stdout(io.StringIO()):
        exec(compile(cell_of(names, text), f"{names.__name__}: {text}", "exec"), vars(names))


def stamp() -> dict[str, str]:
    """The machine and the versions that a measurement belongs to."""
    versions = {}
    for package in NAMED:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": platform.system(),
        "python": platform.python_version(),
        **versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


class Store:
    """The results in `path`, written whole after each value, so that an interrupted run can go on."""

    def __init__(self, path: Path) -> None:
        self.path, self.stamp = path, stamp()
        self.comparisons: dict[str, dict] = {}
        if path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["stamp"] == self.stamp:
                self.comparisons = kept["comparisons"]
            else:
                aside = path.with_name(f"{path.stem}-{datetime.datetime.now():%Y%m%d-%H%M%S}.json")
                path.rename(aside)
                print(f"{path.name} was measured on another machine or with other versions: kept as {aside.name}, begun anew")

    def values(self, name: str) -> dict[str, list[Values]]:
        """Side → its values, round by round."""
        return self.comparisons.get(name, {}).get("values", {})

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps({"stamp": self.stamp, "comparisons": self.comparisons}, indent=1) + "\n", encoding="utf-8")
        os.replace(part, self.path)


def turns(one: Comparison, side: str) -> int:
    """How many rounds a side takes part in."""
    return 1 if side in one.once else one.rounds


def complete(one: Comparison, values: dict[str, list[Values]]) -> bool:
    """Whether every side has had its turns; a side that needs PyTorch is missed only where PyTorch is."""
    missed = has_torch() and not set(one.peers) <= set(values)
    return bool(values) and not missed and all(len(found) == turns(one, side) for side, found in values.items())


def measure(one: Comparison, store: Store, say: Callable[[str], None] = print) -> None:
    """Measure what `store` lacks of a comparison, all sides in turn. An unfinished round is measured again, as a whole."""
    if complete(one, store.values(one.name)):
        say(f"{one.name}: measured already")
        return
    began = time.monotonic()
    sides = one.prepare()
    for side in one.peers:
        if side not in sides:
            say(f"{one.name}: {side} is left out, PyTorch is not installed (tests/benchmarks/requirements.txt)")
    kept = store.values(one.name)
    if set(kept) != set(sides):
        kept = {side: [] for side in sides}
    done = max(count for count in range(one.rounds + 1) if all(len(kept[side]) >= min(count, turns(one, side)) for side in sides))
    values = {side: kept[side][: min(done, turns(one, side))] for side in sides}
    entry = store.comparisons[one.name] = {"values": values}
    for turn in range(done, one.rounds):
        for side, work in sides.items():
            if turn >= turns(one, side):
                continue
            result = work(turn)
            if not isinstance(result, dict):
                result = {one.metrics[0].name: result}
            values[side].append(result)
            entry["date"] = datetime.date.today().isoformat()
            store.save()
            shown = ", ".join(f"{name} {figure(value, name)}" for name, value in result.items() if not isinstance(value, list))
            say(f"{one.name}: round {turn + 1} of {one.rounds}, {side}: {shown}")
    say(f"{one.name}: done in {time.monotonic() - began:.0f} s")


def is_share(metric: str) -> bool:
    """Whether a metric is a share in per cent, which is averaged and shown to its hundredths."""
    return metric.endswith(", %")


def figure(value: float | None, metric: str = "") -> str:
    """A value in three or four digits; a share in per cent to its hundredths."""
    if value is None:
        return "not reached"
    if is_share(metric):
        return f"{value:.2f}"
    if value == 0:
        return "0"
    if abs(value) < 1e-3:
        return f"{value:.1e}"
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


@contextmanager
def in_silence() -> Iterator[None]:
    """No figures and no live lines of the notebooks while they are measured."""
    display, plotting.display = plotting.display, lambda *args, **options: None
    try:
        yield
    finally:
        plotting.display = display
