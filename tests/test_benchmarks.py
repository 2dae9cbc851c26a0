"""The benchmarks compare like with like, lose nothing when interrupted, and their tables are what was measured."""

import importlib.util
import json
from functools import partial

import numpy as np
import pytest

from tests.benchmarks import cnn, common, gan, mlp
from tests.benchmarks.__main__ import COMPARISONS, pages, put_between
from tests.benchmarks.common import Comparison, cell, keep_results, measure, read_results, table
from tests.notebook_code import ROOT, fresh_definitions


@pytest.fixture
def results(tmp_path, monkeypatch):
    """An empty place for results."""
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results.json")
    return tmp_path / "results.json"


# --- the sides do the same work ---


def test_the_classic_perceptron_takes_the_notebooks_steps(definitions):
    rng = np.random.default_rng(0)
    classic = mlp.OneAtATime(6, 5, 4, lr=0.3)
    ours = definitions("01_mlp_from_scratch").ThreeLayerNetwork(6, 5, 4, lr=0.3)
    ours.Wyx, ours.Wzy = classic.Wyx.copy(), classic.Wzy.copy()
    for _ in range(20):
        X, T = rng.normal(size=6), rng.random(4)
        classic.backprop(X, T)
        ours.backprop(X, T)
    assert np.abs(classic.Wyx - ours.Wyx).max() < 1e-12 and np.abs(classic.Wzy - ours.Wzy).max() < 1e-12


@pytest.mark.parametrize("stride, padding", [(1, "valid"), (2, "same")])
def test_the_loops_find_the_gradients_of_the_notebook(stride, padding, definitions):
    nb, rng = definitions("02_keras_cnn_mnist"), np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 6, 7, 3)), rng.normal(size=(3, 3, 3, 4))
    dy = rng.normal(size=nb.conv2d(x, kernel, np.zeros(4), stride, padding).shape)
    _, zeros = nb.pad_for(x, (3, 3), stride, padding)
    found = cnn.backward_loops(dy, x, kernel, stride, zeros)
    for loops, ours in zip(found, nb.conv2d_backward(dy, x, kernel, stride, padding), strict=True):
        assert np.abs(loops - ours).max() < 1e-10


def test_the_classic_loop_of_the_gan_trains_its_discriminator(definitions, sample):
    nb = definitions("04_mnist_gan")
    gan.classic_loop(nb, nb.scaled(sample.x_train[:64]))(2)  # raises AssertionError where it stands still


def test_a_loop_is_warmed_up_once_and_then_takes_its_steps():
    taken = []
    assert all(gan.steps_a_second(taken.append, 60, turn)["steps a second"] > 0 for turn in range(3))
    assert taken == [20, 60, 60, 60]


def test_pytorch_has_a_network_of_as_many_weights_as_keras(definitions):
    pytest.importorskip("torch", reason="PyTorch is an optional peer")
    ours = definitions("02_keras_cnn_mnist").build_plain()
    assert sum(weight.numel() for weight in cnn.plain_in_torch().parameters()) == ours.count_params()


def a_small_scoring(sample):
    """Notebook 04 with a made-up evaluation network of four features, which sees the digit 0 everywhere."""
    names = fresh_definitions("04_mnist_gan")
    names.mnist, names.count, names.steps = sample, 50, {"best": 12, "classic": 4}
    names.evaluate = lambda images: (images[:, 9:19:3, 14, 0].astype("float64"), np.zeros(len(images), int), np.ones(len(images)))
    names.real_features = np.random.default_rng(0).normal(size=(50, 4))
    return names


def test_a_gan_is_looked_at_while_it_trains(sample, monkeypatch):
    names = a_small_scoring(sample)
    monkeypatch.setattr(gan, "scoring", lambda: names)
    game = names.ConditionalGAN(sample.x_train, sample.y_train, steps=4)
    values = gan.training(game, 4, 8, looks=2, labels=np.arange(50) % 10)
    assert values["steps"] == [2, 4] and len(values["curve"]) == 2 and values["minutes"] == values["curve"][1][0] > 0
    assert values["classified as asked, %"] == 10
    labels = np.arange(50) % 10
    assert values["score"] == values["curve"][1][1] == names.score(names.generate(game.averaged, 50, labels))


def test_one_change_at_a_time_is_taken_back_from_the_smoothed_gan(sample, monkeypatch):
    names, games, found = a_small_scoring(sample), [], {}

    def training(game, steps, batch, looks):
        assert (steps, batch) == (4, 64)
        game.discriminator_step(game.real(8), game.noise(8, stream=1))
        games.append(game)
        return {"score": 1}

    monkeypatch.setattr(gan, "scoring", lambda: names)
    monkeypatch.setattr(gan, "training", training)
    for name, side in gan.sides_of_changes().items():
        assert side(0) == {"score": 1}
        game = games[-1]
        adam, rescales = game.d_optimizer, "rescaling" in game.discriminator.layers[0].name
        penalty, last_weights = getattr(game, "penalty", None), game.averaged is game.generator
        found[name] = (penalty, rescales, adam.beta_1, int(adam.iterations), last_weights)
    usual = (0.2, True, 0.0, 1, False)
    assert list(found.values()) == [
        usual,
        (0.0, *usual[1:]),
        (0.2, False, *usual[2:]),
        (0.2, True, 0.5, *usual[3:]),
        usual,
        (0.2, True, 0.0, 2, False),
        (*usual[:4], True),
        (None, False, 0.5, 1, False),
    ]
    assert found.keys() == read_results("gan-changes").keys()
    two_updates = games[list(found).index("two updates of the discriminator")]
    assert two_updates.d_optimizer.get_config()["learning_rate"]["config"]["decay_steps"] == 2 * 4  # two for each step


def test_one_conditional_generator_is_trained_without_wrong_labels(sample, monkeypatch):
    names, replaced = a_small_scoring(sample), {}
    names.steps["labels"] = 12

    def training(game, steps, batch, looks, labels):
        assert steps == 12 and labels is names.mnist.y_test
        real, (_, asked), seen = game.real(10), game.noise(10, stream=1), []
        game.discriminator = lambda inputs: seen.append(np.array(inputs[0])) or inputs[0][:, 14, 14]
        game.discriminator_loss(real, [np.full((10, 28, 28, 1), 7, "float32"), asked])
        replaced[type(game)] = int((seen[1] != 7).any(axis=(1, 2, 3)).sum())
        return {"score": 1, "minutes": 2, "classified as asked, %": 3, "confidence below 0.9, %": 4}

    monkeypatch.setattr(gan, "scoring", lambda: names)
    monkeypatch.setattr(gan, "training", training)
    for side in gan.sides_of_labels().values():
        assert side(0) == {"score": 1, "classified as asked, %": 3, "confidence below 0.9, %": 4}
    assert list(replaced.values()) == [2, 0]


# --- measuring ---


def made_up(sides, **more):
    return Comparison("Made up", "of nothing", lambda: sides, **{"rounds": 3, **more})


def sides(names, order, first=lambda turn: None):
    """Sides that note their turns in `order`, as in "a0", after calling first("a0"); each measures how many there have been."""

    def work(name, number):
        first(f"{name}{number}")
        order.append(f"{name}{number}")
        return {"seconds": len(order)}

    return {name: partial(work, name) for name in names}


def test_all_sides_take_turns_and_each_round_is_kept_at_once(results):
    order = []

    def look(turn):
        assert (len(read_results("made-up")["a"]["seconds"]) if results.exists() else 0) == int(turn[1])

    measure("made-up", made_up(sides("abc", order, look), once=("c",)))
    assert order == ["a0", "b0", "c0", "a1", "b1", "a2", "b2"]
    assert read_results("made-up") == {"a": {"seconds": [1, 4, 6]}, "b": {"seconds": [2, 5, 7]}, "c": {"seconds": [3]}}


@pytest.mark.parametrize("stop", ["b0", "a1", "b1", "a2"])
def test_an_interrupted_run_measures_the_unfinished_round_again(stop, results):
    order, stops = [], [stop]

    def interrupt_once(turn):
        if stops == [turn]:
            stops.clear()
            raise KeyboardInterrupt

    one = made_up(sides("ab", order, interrupt_once))
    with pytest.raises(KeyboardInterrupt):
        measure("made-up", one)
    before = len(order)
    measure("made-up", one)
    assert order[before:] == [f"{name}{number}" for number in range(int(stop[1]), 3) for name in "ab"]
    assert [len(found["seconds"]) for found in read_results("made-up").values()] == [3, 3]


def test_an_unfinished_run_of_another_machine_is_begun_anew(results, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(common, "machine", lambda: "an abacus")
        keep_results("made-up", {"ours": {"seconds": [1000.0]}})
        keep_results("other", {"ours": {"seconds": [1000.0]}})
    measure("made-up", made_up({"ours": lambda turn: {"seconds": 1.0}}))
    assert read_results("made-up") == {"ours": {"seconds": [1.0, 1.0, 1.0]}}
    assert json.loads(results.read_text(encoding="utf-8"))["other"]["machine"] == "an abacus"


def test_a_machine_without_scikit_learn_and_pytorch_keeps_results_too(results, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(common.importlib.util, "find_spec", lambda name: None if name in ("sklearn", "torch") else find(name))
    keep_results("made-up", {"ours": {"seconds": [1.0]}})
    machine = json.loads(results.read_text(encoding="utf-8"))["made-up"]["machine"]
    assert "numpy" in machine and "scikit-learn" not in machine and "torch" not in machine


def test_of_a_quick_run_nothing_is_kept_and_what_it_prints_is_not_shown(results, capsys):
    ours = {"ours": lambda turn: print("a line of progress") or {"seconds": 1.0}}
    assert measure("made-up", made_up(ours, rounds=1), keep=False) == {"ours": {"seconds": [1.0]}}
    assert not results.exists() and "progress" not in capsys.readouterr().out


def test_a_name_that_is_none_is_refused_with_those_that_are(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["gan", "gan-stop"])
    with pytest.raises(SystemExit):
        common.main(gan.COMPARISONS)
    assert "gan-step" in (said := capsys.readouterr().err) and "got gan-stop" in said


def test_the_clock_stands_while_something_is_looked_at(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(common.time, "perf_counter", lambda: now[0])
    clock = common.Stopwatch()

    def measure():
        now[0] += 7
        return 98.5

    now[0] += 3
    clock.look(measure)
    now[0] += 2
    assert clock.curve == [[3, 98.5]] and clock.seconds == 5


# --- the tables ---


@pytest.mark.parametrize(
    ("values", "metric", "shown"),
    [
        ([0.12345], "seconds", "0.123"),
        ([1234.5], "milliseconds", "1,230"),
        ([2.5e-8], "error", "2.5e-08"),
        ([3.0, 1.0, 2.5], "seconds", "2.5 (1 to 3)"),
        ([99.5678, 99.6], "accuracy, %", "99.58 (99.57 to 99.6)"),
        ([3.0, 5.0, None], "seconds to 99.5 %", "4 (3 to 5, not reached in 1 of 3)"),
        ([3.0, None, None], "seconds to 99.5 %", "not reached"),
        ([None], "seconds", "not reached"),
    ],
)
def test_a_cell_has_the_middle_of_the_rounds_and_their_range(values, metric, shown):
    assert cell(values, metric) == shown


def test_a_table_names_its_sides_its_metrics_and_the_machine():
    values = {"ours": {"seconds": [1.0], "curve": [[[0, 1]]]}, "theirs": {"seconds": [None], "curve": [[[0, 1]]]}}
    made = table({"made-up": made_up({})}, {"made-up": {"date": "1642-12-28", "machine": "a Pascaline", "values": values}})
    assert made.splitlines()[4:] == [
        "|  | seconds |",
        "| --- | --: |",
        "| ours | 1 |",
        "| theirs | not reached |",
        "",
        "Measured 1642-12-28, a Pascaline: `made-up`.",
    ]


def test_every_comparison_stands_in_the_results_with_all_its_rounds():
    for name, one in COMPARISONS.items():
        for side, found in read_results(name).items():
            assert {len(values) for values in found.values()} == {1 if side in one.once else one.rounds}, (name, side)


def test_the_tables_in_the_readme_files_are_those_of_the_results():
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.relative_to(ROOT)}: python -m tests.benchmarks mends it"


def test_tables_are_put_only_where_their_marks_are():
    for text in ("no marks", "<!-- end -->\n<!-- measured -->\n", "<!-- measured -->\n<!-- measured -->\n<!-- end -->"):
        with pytest.raises(ValueError, match="once each"):
            put_between(text, "a table")
    assert put_between("a\n<!-- measured -->\nold\n<!-- end -->\nb", "new") == "a\n<!-- measured -->\n\nnew\n\n<!-- end -->\nb"
