"""The benchmarks compare like with like, lose nothing when interrupted, and their tables are what was measured."""

import json

import numpy as np
import pytest

from helpers import plotting
from tests.benchmarks import adversaries, convolution, harness, network, perceptron, report
from tests.benchmarks.comparisons import COMPARISONS
from tests.benchmarks.harness import Comparison, Metric, Store, complete, figure, measure
from tests.notebook_code import ROOT

RESULTS = json.loads((report.HERE / "results.json").read_text(encoding="utf-8"))


# --- the sides do the same work ---


def test_the_classic_perceptron_takes_the_notebooks_steps(definitions):
    mlp, rng = definitions("01_mlp_from_scratch"), np.random.default_rng(0)
    classic = perceptron.OneAtATime(6, 5, 4, lr=0.3)
    ours = mlp.ThreeLayerNetwork(6, 5, 4, lr=0.3)
    ours.Wyx, ours.Wzy = classic.Wyx.copy(), classic.Wzy.copy()
    for _ in range(20):
        X, T = rng.normal(size=6), rng.random(4)
        classic.backprop(X, T)
        ours.backprop(X, T)
    assert np.abs(classic.Wyx - ours.Wyx).max() < 1e-12 and np.abs(classic.Wzy - ours.Wzy).max() < 1e-12


@pytest.mark.parametrize("stride, padding", [(1, "valid"), (2, "same")])
def test_the_loops_find_the_gradients_of_the_notebook(stride, padding, definitions):
    cnn, rng = definitions("02_keras_cnn_mnist"), np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 6, 7, 3)), rng.normal(size=(3, 3, 3, 4))
    dy = rng.normal(size=cnn.conv2d(x, kernel, np.zeros(4), stride, padding).shape)
    _, zeros = cnn.pad_for(x, (3, 3), stride, padding)
    found = convolution.backward_loops(dy, x, kernel, stride, zeros)
    for loops, ours in zip(found, cnn.conv2d_backward(dy, x, kernel, stride, padding), strict=True):
        assert np.abs(loops - ours).max() < 1e-10


def test_the_classic_loop_of_the_gan_trains_its_discriminator(definitions, sample):
    names = definitions("04_mnist_gan")
    adversaries.classic_loop(names, names.scaled(sample.x_train[:64]))(2)  # raises AssertionError where it stands still


def test_pytorch_has_networks_of_as_many_weights_as_keras(definitions):
    pytest.importorskip("torch", reason="PyTorch is an optional peer")
    cnn = definitions("02_keras_cnn_mnist")
    for ours, theirs in ((cnn.build_plain(), network.plain_in_torch()), (cnn.build_better(), network.better_in_torch())):
        assert sum(weight.numel() for weight in theirs.parameters()) == sum(w.numpy().size for w in ours.trainable_weights)


def test_a_cell_of_a_notebook_is_watched_while_it_trains(sample):
    names = harness.notebook("04_mnist_gan")
    names.mnist, names.steps_labels, names.count = sample, 4, 50
    names.seen = lambda images: (images[:, 9:19:3, 14, 0].astype("float64"), np.zeros(len(images), int), np.ones(len(images)))
    names.real_features = np.random.default_rng(0).normal(size=(50, 4))
    with harness.in_silence():
        values = adversaries.watched_run(names, "told = GAN(mnist.x_train", 4, looks=2, seed=3, labels=np.arange(50) % 10)
    assert values["steps"] == [2, 4] and len(values["curve"]) == 2 and values["read as asked, %"] == 10
    assert names.told.seed == 3 and names.told.epoch == 4 and values["minutes"] > 0


@pytest.mark.parametrize(
    "name, text",
    [
        ("01_mlp_from_scratch", "network = Classifier(784, 512, 10"),
        ("04_mnist_gan", "trap_steps, steps_classic"),
        ("04_mnist_gan", "reader, eyes = build_reader()"),
        ("04_mnist_gan", "gan = GAN(mnist.x_train)\n"),
        ("04_mnist_gan", "gentle = GAN(mnist.x_train"),
    ],
)
def test_the_cells_that_are_measured_are_in_their_notebooks(name, text, definitions):
    assert text in harness.cell_of(definitions(name), text)


def test_a_cell_that_is_not_there_is_named(definitions):
    with pytest.raises(LookupError, match="one cell of 01_mlp_from_scratch.ipynb with 'no such', found 0"):
        harness.cell_of(definitions("01_mlp_from_scratch"), "no such")


# --- measuring ---


def made_up(sides, rounds=3, **more):
    settings = {"metrics": (Metric("seconds"),), "once": (), "peers": (), **more}
    return Comparison("made-up", "Made up", prepare=lambda: sides, rounds=rounds, ours="ours", **settings)


def test_all_sides_take_turns_and_each_value_is_kept_at_once(tmp_path):
    path, order = tmp_path / "results.json", []

    def side(name):
        def turn(number):
            kept = json.loads(path.read_text()) if path.is_file() else {"comparisons": {}}
            found = kept["comparisons"].get("made-up", {"values": {}})["values"]
            assert sum(map(len, found.values())) == len(order)
            order.append(f"{name}{number}")
            return 1.0 + number

        return turn

    one = made_up({"ours": side("a"), "theirs": side("b"), "slow": side("c")}, once=("slow",))
    measure(one, Store(path), say=lambda text: None)
    assert order == ["a0", "b0", "c0", "a1", "b1", "a2", "b2"]
    assert complete(one, Store(path).values("made-up"))
    assert Store(path).values("made-up")["theirs"] == [{"seconds": 1.0}, {"seconds": 2.0}, {"seconds": 3.0}]


@pytest.mark.parametrize("stop", ["b0", "a1", "b1", "a2"])
def test_an_interrupted_run_goes_on_and_measures_the_unfinished_round_again(stop, tmp_path):
    order, stops = [], [stop]

    def side(name):
        def turn(number):
            if stops == [f"{name}{number}"]:
                stops.clear()
                raise KeyboardInterrupt
            order.append(f"{name}{number}")
            return float(len(order))

        return turn

    one = made_up({"ours": side("a"), "theirs": side("b")})
    with pytest.raises(KeyboardInterrupt):
        measure(one, Store(tmp_path / "results.json"), say=lambda text: None)
    before = len(order)
    measure(one, Store(tmp_path / "results.json"), say=lambda text: None)
    assert order[before:] == [f"{name}{number}" for number in range(int(stop[1]), 3) for name in "ab"]
    assert complete(one, Store(tmp_path / "results.json").values("made-up"))


def test_what_is_measured_is_not_measured_again(tmp_path):
    said, one = [], made_up({"ours": lambda turn: 1.0})
    measure(one, Store(tmp_path / "results.json"), say=lambda text: None)
    measure(one, Store(tmp_path / "results.json"), say=said.append)
    assert said == ["made-up: measured already"]


def test_the_absence_of_pytorch_is_said_and_is_no_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "has_torch", lambda: False)
    said, one = [], made_up({"ours": lambda turn: 1.0}, peers=("PyTorch",))
    store = Store(tmp_path / "results.json")
    measure(one, store, say=said.append)
    assert "PyTorch is left out" in said[0] and complete(one, store.values("made-up"))
    monkeypatch.setattr(harness, "has_torch", lambda: True)
    assert not complete(one, store.values("made-up"))


def test_results_of_another_machine_are_set_aside_and_not_mixed(tmp_path, capsys):
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"stamp": {"processor": "an abacus"}, "comparisons": {"made-up": {"values": {"ours": []}}}}))
    assert Store(path).comparisons == {}
    (aside,) = tmp_path.glob("results-*.json")
    assert json.loads(aside.read_text())["stamp"] == {"processor": "an abacus"} and "begun anew" in capsys.readouterr().out


def test_a_name_that_is_none_is_refused_with_those_that_are(capsys):
    from tests.benchmarks.__main__ import main

    with pytest.raises(SystemExit):
        main(["gan-stop"])
    assert "gan-step" in (said := capsys.readouterr().err) and "got gan-stop" in said


def test_the_clock_stands_while_it_is_paused():
    clock, seconds = harness.Stopwatch(), iter([0.0, 3.0, 10.0, 12.0])
    harness.time, real = type("Time", (), {"perf_counter": lambda: next(seconds)}), harness.time
    try:
        with clock:
            with clock.paused():
                assert clock.seconds == 3
    finally:
        harness.time = real
    assert clock.seconds == 5


def test_the_notebooks_show_nothing_while_they_are_measured(capsys):
    with harness.in_silence():
        line = plotting.Progress(3, "work")
        line.update(1)
        line.close("done")
    assert capsys.readouterr().out == ""


# --- the tables ---


def test_values_have_three_digits_and_shares_their_hundredths():
    assert [
        figure(value) for value in (0.12345, 3.14159, 42.123, 1234.5, 2.5e-5, 0.0)
    ] == "0.123 3.14 42.1 1,234 2.5e-05 0".split()
    assert figure(99.5678, "accuracy, %") == "99.57" and figure(None) == "not reached"


def test_a_ratio_says_how_many_times_as_good_ours_is():
    faster = {"ours": [{"m": 2.0}], "theirs": [{"m": 5.0}]}
    one = made_up({})
    assert report.ratio(one, Metric("m", "less"), faster, "theirs") == "2.5"
    assert report.ratio(one, Metric("m", "more"), faster, "theirs") == "0.4"
    assert report.ratio(one, Metric("m", ""), faster, "theirs") == ""


def test_a_goal_that_is_missed_by_most_has_no_median():
    found = [{"m": 3.0}, {"m": None}, {"m": None}]
    assert report.middle(found, "m") is None and report.spread(found, "m") == "not reached in 2 of 3"
    assert report.middle(found[:1] + [{"m": 5.0}] + found[2:], "m") == 4.0


def test_every_comparison_stands_in_the_results_with_all_its_sides():
    assert set(RESULTS["comparisons"]) == set(COMPARISONS)
    for name, one in COMPARISONS.items():
        values = RESULTS["comparisons"][name]["values"]
        assert one.ours in values and set(one.peers) <= set(values)
        assert all(len(found) == harness.turns(one, side) for side, found in values.items()), name


def test_the_tables_in_the_readme_files_are_those_of_the_results():
    for path, text in report.pages(RESULTS).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.relative_to(ROOT)}: python -m tests.benchmarks --render mends it"


def test_tables_are_put_only_where_their_marks_are():
    with pytest.raises(ValueError, match="once each"):
        report.put_between("no marks", "a table")
    text = f"before\n{report.BEGIN}\n\nold\n\n{report.END}\nafter"
    assert report.put_between(text, "new") == text.replace("old", "new")


def test_the_figure_is_drawn_from_the_results_as_far_as_there_are_any(tmp_path):
    from PIL import Image

    report.draw({"mlp-128": RESULTS["comparisons"]["mlp-128"]}, tmp_path / "results.png")
    report.draw(RESULTS["comparisons"], tmp_path / "results.png")
    with Image.open(tmp_path / "results.png") as drawn, Image.open(report.HERE / "results.png") as committed:
        assert drawn.size == committed.size and drawn.convert("L").getextrema()[0] < 50
    assert [path.name for path in tmp_path.iterdir()] == ["results.png"]
