"""Notebook 04: the two halves of a step, the loop around them, the score, and the walk."""

import shutil

import numpy as np
import pytest
from PIL import Image

from helpers.data import one_hot
from tests.benchmarks.common import read_results
from tests.notebook_code import fresh_definitions

KINDS = ["GAN", "AveragedGAN", "JointGAN", "SmoothGAN", "ConditionalGAN"]


@pytest.fixture(scope="module")
def gan04(definitions):
    return definitions("04_mnist_gan")


@pytest.fixture
def make(gan04, sample):
    """A function that makes a GAN of the class with the name it is given."""

    def make(name, **options):
        extra = {"steps": 10} if name in ("SmoothGAN", "ConditionalGAN") else {}
        labels = {"labels": sample.y_train} if name == "ConditionalGAN" else {}
        return getattr(gan04, name)(**{"images": sample.x_train, **labels, **extra, **options})

    return make


@pytest.fixture(scope="module")
def trained(gan04, sample):
    """Twenty steps in one go, of the GAN that has everything; `.start` keeps all of its variables' first values."""
    gan = gan04.ConditionalGAN(sample.x_train, sample.y_train, steps=20, penalty=0.05, average=0.9, seed=3)
    gan.start = values(gan04, gan)
    gan.train(20, batch_size=8, save_interval=1000, at_save=nothing)
    return gan


def nothing(step):
    """In the place of `save_imgs`."""


def values(gan04, gan):
    """What training changes, the average included."""
    return [variable.numpy() for variable in [*gan04.state(gan), *gan.averaged.weights]]


def weights(model):
    return [np.array(weight) for weight in model.get_weights()]


def equal(these, those):
    return all(np.array_equal(a, b) for a, b in zip(these, those, strict=True))


def layers_of(model):
    """The layers of a model, and those of the models in it."""
    return [each for layer in model.layers for each in (layers_of(layer) if hasattr(layer, "layers") else [layer])]


# --- the networks ---


@pytest.mark.parametrize("name", KINDS)
def test_the_networks_are_those_of_the_classic_program(make, name):
    gan = make(name)
    in_generator, in_discriminator = layers_of(gan.generator), layers_of(gan.discriminator)
    assert [layer.units for layer in in_generator if hasattr(layer, "units")] == [256, 512, 1024, 784]
    assert [layer.units for layer in in_discriminator if hasattr(layer, "units")] == [512, 256, 1]
    assert [layer.momentum for layer in in_generator if hasattr(layer, "momentum")] == [0.8, 0.8, 0.8]
    slopes = [layer.negative_slope for layer in in_generator + in_discriminator if hasattr(layer, "negative_slope")]
    assert np.allclose(slopes, 0.2) and len(slopes) == 5
    assert (gan.z_dim, gan.img_shape) == (100, (28, 28, 1))


def test_the_optimisers_are_those_of_the_classic_program(make):
    gan = make("GAN")
    for optimizer in (gan.d_optimizer, gan.g_optimizer):
        assert (round(float(optimizer.learning_rate), 7), optimizer.beta_1) == (2e-4, 0.5)


@pytest.mark.parametrize("name", ["SmoothGAN", "ConditionalGAN"])
def test_a_smooth_gan_counts_ink_from_zero(make, name):
    """Its logits are those of a discriminator without rescaling whose first weights and biases make up for it."""
    images = np.random.default_rng(0).uniform(-1, 1, (5, 28, 28, 1)).astype("float32")
    labels = [one_hot(np.array([0, 1, 2, 3, 9]))] if name == "ConditionalGAN" else []
    kernel, bias, *rest = weights(make(name).discriminator)
    hidden = np.hstack([images.reshape(5, 784) / 2 + 0.5, *labels]) @ kernel + bias
    for after_kernel, after_bias in zip(rest[::2], rest[1::2]):
        hidden = np.where(hidden > 0, hidden, 0.2 * hidden) @ after_kernel + after_bias
    discriminator = make(name).discriminator
    discriminator.set_weights([kernel, bias, *rest])
    assert np.allclose(discriminator([images, *labels] if labels else images), hidden, atol=1e-4)


def test_a_smooth_gan_has_no_momentum_and_its_rate_falls(make):
    gan = make("SmoothGAN", steps=100)
    for optimizer in (gan.d_optimizer, gan.g_optimizer):
        assert (optimizer.beta_1, optimizer.beta_2) == (0.0, 0.99)
        assert float(optimizer.learning_rate) == pytest.approx(2e-3)
        optimizer.iterations.assign(100)
        assert float(optimizer.learning_rate) == pytest.approx(5e-5)


@pytest.mark.parametrize("name", KINDS)
def test_both_networks_get_the_optimiser_that_is_asked_for(make, name):
    gan = make(name, learning_rate=1e-3, betas=(0.2, 0.98))
    for optimizer in (gan.d_optimizer, gan.g_optimizer):
        assert (round(float(optimizer.learning_rate), 7), optimizer.beta_1, optimizer.beta_2) == (1e-3, 0.2, 0.98)


def test_what_is_generated_lies_between_minus_one_and_one(gan04):
    samples = gan04.generate(gan04.build_generator(), 3)
    assert samples.shape == (3, 28, 28, 1) and np.abs(samples).max() <= 1


def test_real_images_lie_between_minus_one_and_one_and_keep_their_labels(gan04):
    """Image i is filled with the grey 25 i and has the label i."""
    images = np.repeat(np.arange(0, 250, 25, dtype=np.uint8), 784).reshape(10, 28, 28)
    gan = gan04.ConditionalGAN(images, np.arange(10), steps=10)
    real, labels = gan.real(50)
    assert np.allclose(real[:, 3, 3, 0], 25 * np.argmax(labels, axis=1) / 127.5 - 1)
    assert len(set(np.argmax(labels, axis=1).tolist())) > 5


def test_all_images_are_drawn_and_each_step_and_seed_has_noise_of_its_own(gan04):
    images = np.repeat(np.arange(10, dtype=np.uint8), 784).reshape(10, 28, 28)
    drawn = []
    for seed in (0, 1):
        gan = gan04.GAN(images, seed=seed)
        for step in (0, 1):
            gan.step.assign(step)
            assert set(np.array(gan.index(300, stream=0)).tolist()) == set(range(10))
            drawn += [np.array(gan.noise(4, stream)) for stream in (1, 2)]
    assert len({float(noise[0, 0]) for noise in drawn}) == 8
    assert abs(np.mean(drawn)) < 0.1 and abs(np.std(drawn) - 1) < 0.1


# --- the two halves of a step ---


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("half", "moves"), [("discriminator_step", "discriminator"), ("generator_step", "generator")])
def test_each_half_of_a_step_leaves_the_others_trained_weights(make, half, moves, name):
    """Bit for bit. In one update the generator's moving statistics follow what it has generated; nothing trained moves."""
    gan = make(name)
    before = {each: [w.numpy() for w in getattr(gan, each).trainable_weights] for each in ("discriminator", "generator")}
    examples = [gan.real(8)] if half == "discriminator_step" else []
    getattr(gan, half)(*examples, gan.noise(8, stream=1))
    for each, old in before.items():
        assert equal(old, [w.numpy() for w in getattr(gan, each).trainable_weights]) == (each != moves), each


@pytest.mark.parametrize("name", ["GAN", "JointGAN"])
def test_the_losses_are_the_means_of_minus_log_d(make, name):
    """-log D on real images, -log(1 - D) on generated ones; G's is -log D. With a rate of nearly 0 nothing moves between."""
    gan = make(name, learning_rate=1e-12)
    real, z = gan.real(8), gan.noise(8, stream=1)
    on_real = np.array(gan.discriminator(real))
    on_fake = np.array(gan.discriminator(gan.generator(z, training=name == "JointGAN")))
    loss, accuracy = gan.discriminator_step(real, z)
    right = (np.logaddexp(0, -on_real).mean() + np.logaddexp(0, on_fake).mean()) / 2
    assert float(loss) == pytest.approx(right, rel=1e-4)
    assert float(accuracy) == pytest.approx(((on_real > 0).mean() + (on_fake < 0).mean()) / 2)
    on_fake = np.array(gan.discriminator(gan.generator(z, training=True)))
    assert float(gan.generator_step(z)) == pytest.approx(np.logaddexp(0, -on_fake).mean(), rel=1e-4)


@pytest.mark.parametrize("name", ["GAN", "JointGAN", "SmoothGAN", "ConditionalGAN"])
def test_a_few_steps_of_one_half_lower_its_loss(make, name):
    gan = make(name, learning_rate=1e-3)
    real, z = gan.real(32), gan.noise(32, stream=1)
    losses = [float(gan.discriminator_step(real, z)[0]) for _ in range(6)]
    assert losses[-1] < 0.9 * losses[0]
    losses = [float(gan.generator_step(z)) for _ in range(6)]
    assert losses[-1] < 0.9 * losses[0]


def test_the_penalty_is_the_mean_squared_gradient_at_real_images(gan04, make):
    """Of a linear discriminator w·x + b the gradient is w everywhere: λ|w|² pulls w by 2λw, and by nothing else."""
    start, after = None, {}
    for penalty in (0.0, 0.5):
        gan = make("SmoothGAN", penalty=penalty)
        keras = gan04.keras
        gan.discriminator = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        gan.d_optimizer = keras.optimizers.SGD(0.1)
        start = weights(gan.discriminator)[0]
        gan.discriminator_step(gan.real(8), gan.noise(8, stream=1))
        after[penalty] = weights(gan.discriminator)[0]
    assert np.allclose(after[0.0] - after[0.5], 0.1 * 0.5 * 2 * start, atol=1e-6)


def test_the_penalty_is_also_paid_for_real_images_with_labels(make):
    losses = {}
    for penalty in (0.0, 0.5):
        gan = make("ConditionalGAN", penalty=penalty)
        losses[penalty] = float(gan.discriminator_step(gan.real(8), gan.noise(8, stream=1))[0])
    assert losses[0.5] > losses[0.0]


@pytest.mark.parametrize(("name", "updates"), [("GAN", 2), ("AveragedGAN", 2), ("JointGAN", 1), ("SmoothGAN", 1)])
def test_the_discriminator_takes_two_updates_or_one(make, name, updates):
    gan = make(name)
    gan.discriminator_step(gan.real(8), gan.noise(8, stream=1))
    assert int(gan.d_optimizer.iterations) == updates


@pytest.mark.parametrize("joint", [False, True])
def test_only_in_one_update_are_generated_images_normalised_by_their_batch(make, joint):
    """Batch statistics do not feel a change of the moving ones."""
    losses = []
    for shift in (0.0, 3.0):
        gan = make("JointGAN" if joint else "GAN")
        for layer in gan.generator.layers:
            if hasattr(layer, "moving_mean"):
                layer.moving_mean.assign(layer.moving_mean + shift)
        losses.append(float(gan.discriminator_step(gan.real(8), gan.noise(8, stream=1))[0]))
    assert (losses[0] == losses[1]) == joint


@pytest.mark.parametrize(("name", "real"), [("GAN", 8), ("JointGAN", 16)])
def test_the_discriminator_sees_half_a_batch_of_each_kind_or_a_whole_one(make, name, real):
    gan, asked = make(name), []
    gan.discriminator_step = lambda images, z: asked.append((len(images), len(z))) or (0.0, 0.0)
    gan.generator_step = lambda z: asked.append(len(z)) or 0.0
    gan.training_step(16)
    assert asked == [(real, real), 16]


def test_the_halves_of_a_step_get_noise_and_labels_of_their_own(make):
    gan, seen = make("ConditionalGAN"), []
    gan.discriminator_step = lambda images, z: seen.append(z) or (0.0, 0.0)
    gan.generator_step = lambda z: seen.append(z) or 0.0
    gan.training_step(16)
    (z_of_d, labels_of_d), (z_of_g, labels_of_g) = seen
    assert not np.array_equal(z_of_d, z_of_g) and not np.array_equal(labels_of_d, labels_of_g)
    assert z_of_d.shape == (16, 100) and labels_of_d.shape == (16, 10)


def test_generated_images_are_judged_under_the_label_they_were_made_with(make):
    gan = make("ConditionalGAN")
    z = gan.noise(8, stream=1)
    images, labels = gan.fake(z, training=False)
    assert np.array_equal(labels, z[1])
    assert np.array_equal(images, gan.generator(z, training=False))


@pytest.mark.parametrize("step", [0, 1, 7, 8, 9])
def test_a_fifth_of_the_fakes_are_real_images_with_a_wrong_label(gan04, make, monkeypatch, step):
    gan, seen = make("ConditionalGAN"), []
    monkeypatch.setattr(gan04.SmoothGAN, "discriminator_loss", lambda self, real, fake: seen.extend((real, fake)))
    gan.step.assign(step)
    real, fake = gan.real(40), gan.fake(gan.noise(40, stream=1), training=True)
    gan.discriminator_loss(real, fake)
    assert seen[0] is real and [len(part) for part in seen[1]] == [40, 40]
    images, labels = (np.array(part) for part in seen[1])
    assert np.array_equal(images[:8], real[0][:8]) and np.array_equal(images[8:], fake[0][8:])
    assert np.array_equal(labels[8:], fake[1][8:])
    assert (labels[:8].sum(axis=1) == 1).all() and not (labels[:8] * np.array(real[1])[:8]).any()


# --- the average ---


def test_the_average_is_taken_of_weights_and_of_moving_statistics(make):
    gan = make("AveragedGAN", average=0.9)
    mean = weights(gan.generator)
    gan.step.assign(1_000)  # long after the start, when less is kept
    for _ in range(3):
        gan.training_step(8)
        mean = [0.9 * old + 0.1 * new for old, new in zip(mean, weights(gan.generator), strict=True)]
    assert len(gan.averaged.weights) > len(gan.averaged.trainable_weights)
    for ours, right in zip(weights(gan.averaged), mean, strict=True):
        assert np.allclose(ours, right, atol=1e-6)


def test_the_average_soon_forgets_the_untrained_weights(gan04, make):
    """After thirty steps less than a hundredth of the start is left, where 0.999 a step would have left 97 %."""
    gan = make("AveragedGAN", average=0.999)
    untrained = weights(gan.generator)[0]
    gan.generator.set_weights([np.zeros_like(weight) for weight in gan.generator.get_weights()])
    gan.g_optimizer = gan04.keras.optimizers.SGD(0.0)
    for _ in range(30):
        gan.training_step(2)
    left = np.abs(weights(gan.averaged)[0]).mean() / np.abs(untrained).mean()
    assert left < 0.01


def test_the_average_changes_nothing_in_the_training(gan04, make):
    """A run that goes on as another class, from the same state, goes on to the same weights."""
    plain, averaged = make("GAN", seed=2), make("AveragedGAN", seed=0)
    plain.training_step(8)
    gan04.continue_from(averaged, plain)
    for gan in (plain, averaged):
        gan.training_step(8)
    for one, other in zip(gan04.state(plain), gan04.state(averaged), strict=True):
        assert np.array_equal(one.numpy(), other.numpy())


# --- the loop ---


def test_an_interrupted_training_goes_on_to_the_same_numbers(gan04, trained, capsys):
    right = values(gan04, trained)
    for variable, value in zip([*gan04.state(trained), *trained.averaged.weights], trained.start, strict=True):
        variable.assign(value)
    assert int(trained.step) == 0

    def interrupt(step):
        if step == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained.train(20, batch_size=8, save_interval=4, at_save=interrupt)
    assert int(trained.step) == 12 and "step 12 after" in capsys.readouterr().out
    trained.train(8, batch_size=8, save_interval=1000, at_save=nothing)
    assert int(trained.step) == 20
    assert equal(right, values(gan04, trained))


def test_training_moves_both_networks_and_reports_finite_losses(gan04, trained):
    fresh = gan04.ConditionalGAN(np.zeros((4, 28, 28), np.uint8), np.zeros(4, np.uint8), steps=20, seed=3)
    assert not equal(weights(fresh.discriminator), weights(trained.discriminator))
    assert not equal(weights(fresh.generator), weights(trained.generator))
    assert int(trained.step) == 20 and np.isfinite(trained.history).all()


def test_the_history_holds_the_mean_of_the_steps_since_the_last_entry(gan04, make):
    gan = make("GAN")
    gan.train(4, batch_size=8, save_interval=1, at_save=nothing)
    single, gan.history = np.array(gan.history), []
    gan04.continue_from(gan, make("GAN"))
    gan.train(4, batch_size=8, save_interval=2, at_save=nothing)
    right = [(2, *single[:2, 1:].mean(axis=0)), (4, *single[2:, 1:].mean(axis=0))]
    assert np.allclose(gan.history, right, rtol=1e-5)


def test_a_call_takes_at_most_fifty_steps_and_ends_where_it_saves(gan04, make):
    gan, taken = make("GAN"), []

    def steps(n):
        taken.append(int(n))
        gan.step.assign_add(n)
        return gan04.tf.zeros(3)

    gan.compiled[8] = steps
    gan.train(230, batch_size=8, save_interval=80, at_save=nothing)
    assert taken == [50, 30, 50, 30, 50, 20]


def test_train_saves_a_grid_of_five_by_five_every_save_interval(make, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    gan = make("GAN")
    gan.train(epochs=5, batch_size=8, save_interval=2)
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["mnist_0.png", "mnist_2.png", "mnist_4.png"]
    with Image.open(tmp_path / "images" / "mnist_4.png") as image:
        assert image.size == (140, 140)


def test_a_saved_grid_has_the_samples_in_rows(gan04, make, monkeypatch, tmp_path):
    """Sample i of this generator is grey i throughout; with labels, they are 0 to 9 again and again."""
    monkeypatch.chdir(tmp_path)
    asked = []

    def generator(inputs, training):
        asked.append(inputs)
        greys = np.arange(25).reshape(25, 1, 1, 1) / 127.5 - 1
        return gan04.tf.constant(np.broadcast_to(greys, (25, 28, 28, 1)))

    for name in ("GAN", "ConditionalGAN"):
        gan = make(name)
        gan.generator = generator
        gan.step.assign(len(asked))
        gan.save_imgs(7)
        with Image.open(tmp_path / "images" / "mnist_7.png") as image:
            pixels = np.asarray(image)
        assert np.array_equal(pixels[::28, ::28], np.arange(25).reshape(5, 5)) and len(np.unique(pixels[:28, :28])) == 1
    assert asked[1][1].argmax(axis=1).tolist() == [*range(10), *range(10), *range(5)]
    assert np.array_equal(asked[0], asked[1][0]), "the noise is not the same each time"


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *[("save_interval", value) for value in (0, -1, -50, 2.5, None, True)],
        *[("epochs", value) for value in (20.0, -1, None, "20")],
        *[("batch_size", value) for value in (1, 0, -4, 8.0, None)],
    ],
)
def test_train_refuses_arguments_that_cannot_be_meant(gan04, trained, argument, value):
    before = values(gan04, trained)
    with pytest.raises(ValueError, match=f"expected {argument} to be a whole number of at least .*, got {value!r}"):
        trained.train(**{"epochs": 2, "batch_size": 16, "save_interval": 1, argument: value})
    assert equal(before, values(gan04, trained))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        *[
            (name, arguments, message)
            for name in ("GAN", "ConditionalGAN")
            for arguments, message in [
                ({"images": np.zeros((4, 28, 28), np.float32)}, r"expected uint8 images of shape \(n, 28, 28\), got float32"),
                ({"images": np.zeros((4, 784), np.uint8)}, r"expected uint8 images of shape .* got uint8 of shape \(4, 784\)"),
                ({"images": np.zeros((4, 28, 28, 1), np.uint8)}, "expected uint8 images of shape"),
                ({"learning_rate": 0.0}, "expected learning_rate to be a finite number above 0, got 0.0"),
                ({"betas": (0.5, 1.0)}, r"expected betas\[1\] to be a finite number of at least 0 and below 1, got 1.0"),
                ({"betas": (-0.1, 0.9)}, r"expected betas\[0\] to be"),
                ({"seed": 1.5}, "expected seed to be a whole number of at least 0, got 1.5"),
            ]
        ],
        ("GAN", {"images": np.zeros((0, 28, 28), np.uint8)}, "expected uint8 images of shape"),
        ("AveragedGAN", {"average": 1.0}, "expected average to be a finite number of at least 0 and below 1, got 1.0"),
        ("SmoothGAN", {"steps": 10, "penalty": -0.2}, "expected penalty to be a finite number of at least 0, got -0.2"),
        ("SmoothGAN", {"steps": 0}, "expected steps to be a whole number of at least 1, got 0"),
        ("ConditionalGAN", {"labels": np.zeros(3, int)}, "expected 4 labels, one for each image, got 3"),
        ("ConditionalGAN", {"labels": np.full(4, 10)}, "expected labels from 0 to 9, got 10 to 10"),
        ("ConditionalGAN", {"labels": np.eye(10)[:4]}, "expected labels to be whole numbers"),
        ("ConditionalGAN", {"average": 1.0}, "expected average to be"),
        ("ConditionalGAN", {"penalty": -0.2}, "expected penalty to be"),
    ],
)
def test_a_gan_refuses_what_cannot_be_meant_before_it_sets_the_seed(gan04, name, arguments, message):
    usual = {"images": np.zeros((4, 28, 28), np.uint8)}
    usual |= {"labels": np.zeros(4, int), "steps": 10} if name == "ConditionalGAN" else {}
    np.random.seed(5)
    with pytest.raises(ValueError, match=message):
        getattr(gan04, name)(**{**usual, **arguments})
    drawn = np.random.random()
    np.random.seed(5)
    assert drawn == np.random.random()


def test_a_gan_takes_a_schedule_numpy_integers_and_no_steps(gan04, make, trained):
    gan = make("GAN", learning_rate=gan04.PolynomialDecay(2e-3, 10, 5e-5))
    assert float(gan.g_optimizer.learning_rate) == pytest.approx(2e-3)
    before = int(trained.step)
    trained.train(0, batch_size=np.int64(8), save_interval=np.int32(10))
    assert int(trained.step) == before


def test_a_gan_without_images_takes_those_of_mnist(gan04, sample):
    assert np.array_equal(gan04.GAN().images, sample.x_train)


def test_where_images_cannot_be_written_pictures_go_elsewhere(gan04, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").write_text("a file is in the way")
    gan = gan04.GAN(np.zeros((4, 28, 28), np.uint8))
    for step in (0, 2):
        gan.save_imgs(step)
    assert sorted(path.name for path in gan.folder.iterdir()) == ["mnist_0.png", "mnist_2.png"]
    assert capsys.readouterr().out.count("can't be written") == 1
    shutil.rmtree(gan.folder)


def test_a_saved_generator_loads_again_and_generates_the_same(gan04, trained, tmp_path):
    trained.averaged.save(tmp_path / "generator.keras")
    loaded = gan04.keras.models.load_model(tmp_path / "generator.keras")
    labels = np.array([3, 8])
    assert np.array_equal(gan04.generate(loaded, 2, labels), gan04.generate(trained.averaged, 2, labels))


# --- the score ---


def test_the_frechet_distance_is_right_where_the_answer_is_known(gan04):
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    assert gan04.frechet(cloud, cloud) == pytest.approx(0, abs=1e-6)
    assert gan04.frechet(cloud, cloud + np.eye(6)[2] * 5) == pytest.approx(25)
    assert gan04.frechet(cloud, 3 * (cloud - cloud.mean(0)) + cloud.mean(0)) == pytest.approx(4 * np.trace(np.cov(cloud.T)))
    other = rng.normal(size=(500, 6))
    assert gan04.frechet(cloud, other) == pytest.approx(gan04.frechet(other, cloud))


def test_the_frechet_distance_of_one_direction_is_that_of_two_normals(gan04):
    a, b = np.random.default_rng(1).normal(size=(2, 400, 1)) * [[[2.0]], [[0.5]]]
    padded = [np.c_[cloud, np.zeros(400)] for cloud in (a, b)]  # the second direction is the same in both
    right = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert gan04.frechet(*padded) == pytest.approx(right)


def test_a_blur_spreads_ink_over_three_by_three_pixels(gan04):
    image = np.full((1, 28, 28, 1), -1.0, "float32")
    image[0, 0, 5] = 1
    right = np.full((28, 28), -1.0)
    right[:2, 4:7] = -1 + 2 / 9
    assert np.allclose(gan04.blurred(image)[0, ..., 0], right, atol=1e-6)


def test_the_perplexity_of_digits_is_ten_at_most_and_one_at_least(gan04):
    assert gan04.perplexity(np.arange(1000) % 10) == pytest.approx(10)
    assert gan04.perplexity(np.full(50, 7)) == pytest.approx(1)
    assert gan04.perplexity(np.array([0, 1, 0, 1])) == pytest.approx(2)


def test_a_point_is_covered_within_the_distance_of_the_third_neighbour(gan04):
    """Points at 0, 1, 3, 7 and 20 on a line: their third neighbours are 7, 6, 4, 7 and 19 away."""
    by = np.array([[0.0], [1], [3], [7], [20]])
    inside, outside = np.array([[-6.9], [13.9], [38.9]]), np.array([[-7.1], [39.1]])
    assert gan04.covered(inside, by) == 1 and gan04.covered(outside, by) == 0
    assert gan04.covered(np.r_[inside, outside], by) == pytest.approx(0.6)


def test_the_covered_share_is_that_of_all_pairs(gan04):
    """More points than fit in one part, so that parts are joined."""
    rng = np.random.default_rng(0)
    points, by = rng.normal(size=(300, 5)) * 1.6, rng.normal(size=(1200, 5))
    apart = np.linalg.norm(points[:, None] - by, axis=2)
    radius = np.sort(np.linalg.norm(by[:, None] - by, axis=2), axis=1)[:, 3]
    right = (apart < radius).any(axis=1).mean()
    assert 0.2 < right < 0.95 and gan04.covered(points, by) == pytest.approx(right)


def test_the_nearest_training_image_of_a_copy_is_at_no_distance(sample):
    names = fresh_definitions("04_mnist_gan")
    names.mnist = sample
    images = names.scaled(sample.x_train[[5, 700, 3999]])
    images[1, 10, 10] += 0.5
    assert np.allclose(names.nearest_training_image(images), [0, 0.5, 0], atol=0.02)


def test_the_benchmark_bears_what_is_said_of_each_change():
    """The notebook says so of the figure that it draws."""
    scores = {name: values["score"][0] for name, values in read_results("gan-changes").items()}
    as_it_is = scores.pop("as it is")
    for name in ("a fixed rate of 1e-3", "two updates of the discriminator"):
        assert abs(scores.pop(name) - as_it_is) < 0.1 * as_it_is
    assert scores.pop("without the average") > 1.1 * as_it_is  # worse, but by less than the rest
    assert len(scores) == 4 and min(scores.values()) > 1.5 * as_it_is


def test_the_benchmark_bears_what_is_said_of_wrong_labels():
    ours, without = read_results("gan-labels").values()
    assert without["confidence below 0.9, %"] == [pytest.approx(1.3, abs=0.05)]
    assert without["classified as asked, %"] == [pytest.approx(99.6, abs=0.05)]
    assert max(ours["confidence below 0.9, %"]) < 0.5 and min(ours["classified as asked, %"]) > 99.8
    assert without["score"][0] < max(ours["score"])


# --- drawing and walking ---


def test_draw_writes_each_digit_that_is_asked_for_in_one_style(gan04, trained, monkeypatch):
    asked = []

    def generator(inputs, training):
        asked.append(inputs)
        return trained.averaged(inputs, training=training)

    monkeypatch.setitem(gan04.draw.__globals__, "conditional_generator", generator)
    image = gan04.draw("2026", seed=1)
    assert image.shape == (28, 4 * 28)
    style, labels = asked[0]
    assert labels.argmax(axis=1).tolist() == [2, 0, 2, 6]
    assert (style == style[0]).all()
    assert gan04.draw(7, seed=1).shape == (28, 28)
    assert not np.array_equal(gan04.draw(7, seed=2), gan04.draw(7, seed=1))


@pytest.mark.parametrize("wrong", ["", "cat", "-1", "1.5", "2²", "٣", " 7", None, True])
def test_draw_refuses_in_words_what_is_not_made_of_digits(gan04, wrong):
    with pytest.raises(ValueError, match="expected one or more digits from 0 to 9"):
        gan04.draw(wrong)


def test_the_spherical_path_begins_and_ends_right_and_keeps_its_length(gan04):
    start, end = np.random.default_rng(0).normal(size=(2, 100))
    end *= np.linalg.norm(start) / np.linalg.norm(end)
    assert np.allclose(gan04.slerp(start, end, 0), start) and np.allclose(gan04.slerp(start, end, 1), end)
    for t in (0.2, 0.5, 0.9):
        assert np.linalg.norm(gan04.slerp(start, end, t)) == pytest.approx(np.linalg.norm(start))
    assert np.allclose(gan04.slerp(start, start, 0.3), start)


def test_the_normal_density_has_the_mean_and_deviation_asked_for(gan04):
    x = np.linspace(-5, 6, 11_001)
    mass = gan04.normal_density(x, 0.5, 0.4) * (x[1] - x[0])
    assert mass.sum() == pytest.approx(1)
    assert (x * mass).sum() == pytest.approx(0.5) and ((x - 0.5) ** 2 * mass).sum() == pytest.approx(0.16)
