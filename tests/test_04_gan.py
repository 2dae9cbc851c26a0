"""Notebook 04: the two halves of a step, the loop around them, the score, and the walk."""

import shutil

import numpy as np
import pytest
from PIL import Image

from helpers.data import one_hot


@pytest.fixture(scope="module")
def gan04(definitions):
    return definitions("04_mnist_gan")


@pytest.fixture(scope="module")
def trained(gan04, sample):
    """Twenty steps in one go, of a GAN with everything switched on; `.start` keeps all of its variables' first values."""
    gan = gan04.GAN(sample.x_train, sample.y_train, penalty=0.05, average=0.9, seed=3)
    gan.start = [variable.numpy() for variable in variables(gan)]
    gan.train(20, batch_size=16, save_interval=1000, at_save=lambda epoch: None)
    return gan


def variables(gan):
    models, optimizers = (gan.generator, gan.discriminator, gan.averaged), (gan.g_optimizer, gan.d_optimizer)
    return [gan.steps_done, *(v for m in models for v in m.weights), *(v for o in optimizers for v in o.variables)]


def weights(model):
    return [np.array(weight) for weight in model.get_weights()]


def equal(these, those):
    return all(np.array_equal(a, b) for a, b in zip(these, those, strict=True))


# --- the networks ---


def test_the_networks_are_those_of_the_classic_program(gan04):
    gan = gan04.GAN(np.zeros((4, 28, 28), np.uint8))
    widths = [layer.units for layer in gan.generator.layers if hasattr(layer, "units")]
    assert widths == [256, 512, 1024, 784]
    assert [layer.units for layer in gan.discriminator.layers if hasattr(layer, "units")] == [512, 256, 1]
    assert {layer.momentum for layer in gan.generator.layers if hasattr(layer, "momentum")} == {0.8}
    assert {round(layer.negative_slope, 6) for layer in gan.generator.layers if hasattr(layer, "negative_slope")} == {0.2}
    assert (gan.z_dim, gan.img_shape) == (100, (28, 28, 1))
    for optimizer in (gan.d_optimizer, gan.g_optimizer):
        assert (round(float(optimizer.learning_rate), 7), optimizer.beta_1) == (2e-4, 0.5)


def test_counting_ink_from_zero_only_changes_the_first_layers_weights(gan04):
    images = np.random.default_rng(0).uniform(-1, 1, (5, 28, 28, 1)).astype("float32")
    from_minus_one, from_zero = gan04.build_discriminator(), gan04.build_discriminator(ink=True)
    kernel, bias, *rest = from_minus_one.get_weights()
    from_zero.set_weights([2 * kernel, bias - kernel.sum(axis=0), *rest])
    assert np.allclose(from_zero(images), from_minus_one(images), atol=1e-5)


def test_both_players_get_the_optimiser_that_is_asked_for(gan04):
    gan = gan04.GAN(np.zeros((4, 28, 28), np.uint8), learning_rate=1e-3, betas=(0.0, 0.99))
    for optimizer in (gan.d_optimizer, gan.g_optimizer):
        assert (round(float(optimizer.learning_rate), 7), optimizer.beta_1, optimizer.beta_2) == (1e-3, 0.0, 0.99)


def test_what_is_drawn_lies_between_minus_one_and_one(gan04):
    drawn = np.asarray(gan04.build_generator()(np.random.default_rng(0).normal(size=(3, 100)).astype("float32")))
    assert drawn.shape == (3, 28, 28, 1) and np.abs(drawn).max() <= 1


# --- the two halves of a step ---


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize(("half", "moves"), [("discriminator_step", "discriminator"), ("generator_step", "generator")])
def test_each_half_of_a_step_leaves_the_other_network_bit_for_bit(gan04, sample, half, moves, labelled):
    gan = gan04.GAN(sample.x_train, sample.y_train if labelled else None, penalty=0.05)
    before = {name: weights(getattr(gan, name)) for name in ("discriminator", "generator")}
    getattr(gan, half)(8)
    for name, old in before.items():
        assert equal(old, weights(getattr(gan, name))) == (name != moves), name


def test_the_penalty_is_the_mean_squared_slope_at_real_images(gan04, sample):
    """Of a linear discriminator w·x + b the slope is w everywhere, so the penalty λ|w|² pulls w by 2λw, and by nothing else."""
    start, after = None, {}
    for penalty in (0.0, 0.5):
        gan = gan04.GAN(sample.x_train, together=True, penalty=penalty)
        gan.discriminator = gan04.keras.Sequential(
            [gan04.keras.Input((28, 28, 1)), gan04.keras.layers.Flatten(), gan04.keras.layers.Dense(1)]
        )
        gan.d_optimizer = gan04.keras.optimizers.SGD(0.1)
        start = weights(gan.discriminator)[0]
        gan.discriminator_step(8)
        after[penalty] = weights(gan.discriminator)[0]
    assert np.allclose(after[0.0] - after[0.5], 0.1 * 0.5 * 2 * start, atol=1e-6)


def test_the_average_is_taken_of_weights_and_of_moving_statistics(gan04, sample):
    gan = gan04.GAN(sample.x_train, average=0.9)
    mean = weights(gan.generator)
    gan.steps_done.assign(1_000)  # long after the start, when less is kept
    for _ in range(3):
        gan.generator_step(8)
        mean = [0.9 * old + 0.1 * new for old, new in zip(mean, weights(gan.generator), strict=True)]
    assert len(gan.averaged.weights) > len(gan.averaged.trainable_weights)
    for ours, right in zip(weights(gan.averaged), mean, strict=True):
        assert np.allclose(ours, right, atol=1e-6)


def test_the_average_soon_forgets_the_untrained_weights(gan04, sample):
    """After thirty steps less than a hundredth of the start is left, where 0.999 a step would have left 97 %."""
    gan = gan04.GAN(sample.x_train, average=0.999)
    untrained = weights(gan.generator)[0]
    gan.generator.set_weights([np.zeros_like(weight) for weight in gan.generator.get_weights()])
    gan.g_optimizer = gan04.keras.optimizers.SGD(0.0)
    for step in range(30):
        gan.steps_done.assign(step)
        gan.generator_step(2)
    left = np.abs(weights(gan.averaged)[0]).mean() / np.abs(untrained).mean()
    assert left < 0.01


@pytest.mark.parametrize("together", [False, True])
def test_the_discriminator_learns_from_both_kinds_in_two_updates_or_in_one(gan04, sample, together):
    gan = gan04.GAN(sample.x_train, together=together)
    gan.discriminator_step(8)
    assert int(gan.d_optimizer.iterations) == (1 if together else 2)


@pytest.mark.parametrize("together", [False, True])
def test_only_in_one_update_are_generated_images_normalised_by_their_batch(gan04, sample, together):
    gan = gan04.GAN(sample.x_train, together=together)
    before = float(gan.on_fake(8)[0])
    for layer in gan.generator.layers:
        if hasattr(layer, "moving_mean"):
            layer.moving_mean.assign(layer.moving_mean + 3.0)
    assert (float(gan.on_fake(8)[0]) == before) == together


def test_one_joint_update_leaves_the_generators_weights_bit_for_bit(gan04, sample):
    """Its moving statistics follow what it has drawn, but nothing that is trained moves."""
    gan = gan04.GAN(sample.x_train, together=True, penalty=0.05, ink=True)
    before = [weight.numpy() for weight in gan.generator.trainable_weights]
    gan.discriminator_step(8)
    assert equal(before, [weight.numpy() for weight in gan.generator.trainable_weights])


# --- the loop ---


def test_an_interrupted_training_goes_on_to_the_same_numbers(trained):
    right = [variable.numpy() for variable in variables(trained)]
    for variable, value in zip(variables(trained), trained.start, strict=True):
        variable.assign(value)
    assert trained.epoch == 0

    def interrupt(epoch):
        if epoch == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained.train(20, batch_size=16, save_interval=4, at_save=interrupt)
    assert trained.epoch == 12
    trained.train(20 - trained.epoch, batch_size=16, save_interval=1000, at_save=lambda epoch: None)
    assert trained.epoch == 20
    assert equal(right, [variable.numpy() for variable in variables(trained)])


def test_training_moves_both_networks_and_reports_finite_losses(gan04, trained):
    fresh = gan04.GAN(np.zeros((4, 28, 28), np.uint8), np.zeros(4, np.uint8), seed=3)
    assert not equal(weights(fresh.discriminator), weights(trained.discriminator))
    assert not equal(weights(fresh.generator), weights(trained.generator))
    assert trained.epoch == 20 and np.isfinite(trained.history).all()


def test_train_saves_a_grid_of_five_by_five_every_save_interval(gan04, sample, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    gan = gan04.GAN(sample.x_train)
    gan.train(epochs=5, batch_size=8, save_interval=2)
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["mnist_0.png", "mnist_2.png", "mnist_4.png"]
    with Image.open(tmp_path / "images" / "mnist_4.png") as image:
        assert image.size == (140, 140)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *[("save_interval", value) for value in (0, -1, -50, 2.5, None, True)],
        *[("epochs", value) for value in (20.0, -1, None, "20")],
        *[("batch_size", value) for value in (1, 0, -4, 8.0, None)],
        *[("generator_batch", value) for value in (0, 1, -4, 8.0)],
    ],
)
def test_train_refuses_arguments_that_cannot_be_meant(gan04, trained, argument, value):
    before = [variable.numpy() for variable in variables(trained)]
    with pytest.raises(ValueError, match=f"expected {argument} to be a whole number of at least .*, got {value!r}"):
        trained.train(**{"epochs": 2, "batch_size": 16, "save_interval": 1, argument: value})
    assert equal(before, [variable.numpy() for variable in variables(trained)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": np.zeros((4, 28, 28), np.float32)}, r"expected uint8 images of shape \(n, 28, 28\), got float32"),
        ({"images": np.zeros((4, 784), np.uint8)}, r"expected uint8 images of shape .* got uint8 of shape \(4, 784\)"),
        ({"images": np.zeros((4, 28, 28, 1), np.uint8)}, "expected uint8 images of shape"),
        ({"images": np.zeros((0, 28, 28), np.uint8)}, "expected uint8 images of shape"),
        ({"labels": np.zeros(3, int)}, "expected 4 labels, one for each image, got 3"),
        ({"labels": np.full(4, 10)}, "expected labels from 0 to 9, got 10 to 10"),
        ({"labels": np.eye(10)[:4]}, "expected labels to be whole numbers"),
        ({"learning_rate": 0.0}, "expected learning_rate to be a finite number above 0, got 0.0"),
        ({"betas": (0.5, 1.0)}, r"expected betas\[1\] to be a finite number of at least 0 and below 1, got 1.0"),
        ({"betas": (-0.1, 0.9)}, r"expected betas\[0\] to be"),
        ({"average": 1.0}, "expected average to be"),
        ({"penalty": -0.2}, "expected penalty to be a finite number of at least 0, got -0.2"),
        ({"seed": 1.5}, "expected seed to be a whole number of at least 0, got 1.5"),
    ],
)
def test_a_gan_refuses_what_cannot_be_meant_before_it_sets_the_seed(gan04, arguments, message):
    np.random.seed(5)
    with pytest.raises(ValueError, match=message):
        gan04.GAN(**{"images": np.zeros((4, 28, 28), np.uint8), **arguments})
    drawn = np.random.random()
    np.random.seed(5)
    assert drawn == np.random.random()


def test_a_gan_takes_a_schedule_numpy_integers_and_no_steps(gan04, trained):
    rate = gan04.PolynomialDecay(2e-3, 10, 5e-5)
    gan04.GAN(np.zeros((4, 28, 28), np.uint8), learning_rate=rate)
    before = trained.epoch
    trained.train(0, batch_size=np.int64(16), save_interval=np.int32(10))
    assert trained.epoch == before


def test_where_images_cannot_be_written_pictures_go_elsewhere(gan04, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").write_text("a file is in the way")
    gan = gan04.GAN(np.zeros((4, 28, 28), np.uint8))
    for epoch in (0, 2):
        gan.save_imgs(epoch)
    assert sorted(path.name for path in gan.folder.iterdir()) == ["mnist_0.png", "mnist_2.png"]
    assert capsys.readouterr().out.count("can't be written") == 1
    shutil.rmtree(gan.folder)


def test_a_saved_generator_loads_again_and_draws_the_same(gan04, trained, tmp_path):
    trained.averaged.save(tmp_path / "generator.keras")
    loaded = gan04.keras.models.load_model(tmp_path / "generator.keras")
    inputs = [np.random.default_rng(0).normal(size=(2, 100)).astype("float32"), one_hot(np.array([3, 8]))]
    assert np.array_equal(loaded(inputs, training=False), trained.averaged(inputs, training=False))


# --- the score ---


def test_the_frechet_distance_is_right_where_the_answer_is_known(gan04):
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    assert gan04.frechet(cloud, cloud) == pytest.approx(0, abs=1e-6)
    assert gan04.frechet(cloud, cloud + np.eye(6)[2] * 5) == pytest.approx(25)
    assert gan04.frechet(cloud, 3 * (cloud - cloud.mean(0)) + cloud.mean(0)) == pytest.approx(4 * np.trace(np.cov(cloud.T)))
    other = rng.normal(size=(500, 6))
    assert gan04.frechet(cloud, other) == pytest.approx(gan04.frechet(other, cloud))


def test_the_frechet_distance_of_one_direction_is_that_of_two_bell_curves(gan04):
    a, b = np.random.default_rng(1).normal(size=(2, 400, 1)) * [[[2.0]], [[0.5]]]
    padded = [np.c_[cloud, np.zeros(400)] for cloud in (a, b)]  # the second direction is the same in both
    right = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert gan04.frechet(*padded) == pytest.approx(right)


def test_the_root_of_a_matrix_times_itself_is_the_matrix(gan04):
    half = np.random.default_rng(0).normal(size=(5, 5))
    root = gan04.root_of(half @ half.T)
    assert np.allclose(root @ root, half @ half.T) and np.allclose(root, root.T)


def test_the_effective_number_of_digits_is_ten_at_most_and_one_at_least(gan04):
    assert gan04.shares_of(np.arange(1000) % 10)[1] == pytest.approx(10)
    assert gan04.shares_of(np.full(50, 7))[1] == pytest.approx(1)
    assert gan04.shares_of(np.array([0, 1, 0, 1]))[1] == pytest.approx(2)


# --- drawing and walking ---


def test_draw_writes_each_digit_that_is_asked_for_in_one_hand(gan04, trained, monkeypatch):
    asked = []

    def generator(inputs, training):
        asked.append(inputs)
        return trained.averaged(inputs, training=training)

    monkeypatch.setitem(gan04.draw.__globals__, "conditional_generator", generator)
    picture = gan04.draw("2026", seed=1)
    assert picture.shape == (28, 4 * 28)
    hand, labels = asked[0]
    assert labels.argmax(axis=1).tolist() == [2, 0, 2, 6]
    assert (hand == hand[0]).all()
    assert gan04.draw(7, seed=1).shape == (28, 28)


@pytest.mark.parametrize("wrong", ["", "cat", "-1", "1.5", "2²", "٣", " 7", None, True])
def test_draw_refuses_in_words_what_is_not_made_of_digits(gan04, wrong):
    with pytest.raises(ValueError, match="expected one or more digits from 0 to 9"):
        gan04.draw(wrong)


def test_the_spherical_way_begins_and_ends_right_and_keeps_to_the_shell(gan04):
    start, end = np.random.default_rng(0).normal(size=(2, 100))
    end *= np.linalg.norm(start) / np.linalg.norm(end)
    assert np.allclose(gan04.slerp(start, end, 0), start) and np.allclose(gan04.slerp(start, end, 1), end)
    for t in (0.2, 0.5, 0.9):
        assert np.linalg.norm(gan04.slerp(start, end, t)) == pytest.approx(np.linalg.norm(start))
    assert np.allclose(gan04.slerp(start, start, 0.3), start)


def test_the_bell_curve_is_a_density_with_the_mean_and_spread_asked_for(gan04):
    x = np.linspace(-5, 6, 11_001)
    mass = gan04.bell(x, 0.5, 0.4) * (x[1] - x[0])
    assert mass.sum() == pytest.approx(1)
    assert (x * mass).sum() == pytest.approx(0.5) and ((x - 0.5) ** 2 * mass).sum() == pytest.approx(0.16)


def test_in_the_bell_game_the_generator_moves_towards_the_real_curve(gan04):
    game = gan04.BellGame(mean=2.0, spread=0.6)
    for _ in range(200):
        game.d_step()
        game.g_step()
    assert abs(float(game.b) - 2.0) < 1.0 < abs(-1.5 - 2.0)
