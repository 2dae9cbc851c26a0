"""Notebook 04: the two halves of a step, the loop around them, the score, and the walk."""

import shutil

import numpy as np
import pytest
import scipy
from PIL import Image

from helpers.data import one_hot
from tests.benchmarks.common import read_results


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


def values(gan04, gan):
    """What training changes, the average included."""
    return [variable.numpy() for variable in [*gan04.state(gan), *gan.averaged.weights]]


def equal(these, those):
    return all(np.array_equal(a, b) for a, b in zip(these, those, strict=True))


def layers_of(model):
    """The layers of a model, and those of the models in it."""
    return [each for layer in model.layers for each in (layers_of(layer) if hasattr(layer, "layers") else [layer])]


# --- the networks ---


@pytest.mark.parametrize("name", ["GAN", "SmoothGAN", "ConditionalGAN"])
def test_the_networks_are_those_of_the_classic_program(make, name):
    gan = make(name)
    in_generator, in_discriminator = layers_of(gan.generator), layers_of(gan.discriminator)
    dense = [(layer.units, layer.activation.__name__) for layer in in_generator if hasattr(layer, "units")]
    assert dense == [(256, "linear"), (512, "linear"), (1024, "linear"), (784, "tanh")]
    dense = [(layer.units, layer.activation.__name__) for layer in in_discriminator if hasattr(layer, "units")]
    assert dense == [(512, "linear"), (256, "linear"), (1, "linear")]
    assert [layer.momentum for layer in in_generator if hasattr(layer, "momentum")] == [0.8, 0.8, 0.8]
    slopes = [layer.negative_slope for layer in in_generator + in_discriminator if hasattr(layer, "negative_slope")]
    assert np.allclose(slopes, 0.2) and len(slopes) == 5
    assert (gan.z_dim, gan.img_shape) == (100, (28, 28, 1))


@pytest.mark.parametrize(
    ("name", "options", "first_rate", "last_rate", "betas"),
    [
        ("GAN", {}, 2e-4, 2e-4, (0.5, 0.999)),
        ("SmoothGAN", {"steps": 100}, 2e-3, 5e-5, (0.0, 0.99)),
        ("ConditionalGAN", {"learning_rate": 1e-3, "betas": (0.2, 0.98)}, 1e-3, 1e-3, (0.2, 0.98)),
    ],
)
def test_both_optimisers_have_the_settings_of_the_class_or_those_given(make, name, options, first_rate, last_rate, betas):
    gan = make(name, **options)
    for optimizer in (gan.d_optimizer, gan.g_optimizer):
        assert (optimizer.beta_1, optimizer.beta_2) == betas
        assert float(optimizer.learning_rate) == pytest.approx(first_rate)
        optimizer.iterations.assign(100)
        assert float(optimizer.learning_rate) == pytest.approx(last_rate)


@pytest.mark.parametrize("name", ["SmoothGAN", "ConditionalGAN"])
def test_a_smooth_gan_counts_ink_from_zero(make, name):
    """Its logits are those of its weights on images and labels from 0 to 1."""
    images = np.random.default_rng(0).uniform(-1, 1, (5, 28, 28, 1)).astype("float32")
    labels = [one_hot(np.array([0, 1, 2, 3, 9]))] if name == "ConditionalGAN" else []
    discriminator = make(name).discriminator
    kernel, bias, *rest = discriminator.get_weights()
    hidden = np.hstack([images.reshape(5, 784) / 2 + 0.5, *labels]) @ kernel + bias
    for after_kernel, after_bias in zip(rest[::2], rest[1::2]):
        hidden = np.where(hidden > 0, hidden, 0.2 * hidden) @ after_kernel + after_bias
    assert np.allclose(discriminator([images, *labels] if labels else images), hidden, atol=1e-4)


def test_real_images_of_all_labels_lie_between_minus_one_and_one(gan04):
    """Image i is filled with the grey 25 i and has the label i."""
    images = np.repeat(np.arange(0, 250, 25, dtype=np.uint8), 784).reshape(10, 28, 28)
    gan = gan04.ConditionalGAN(images, np.arange(10), steps=10)
    real, labels = gan.real(300)
    assert np.allclose(real[:, 3, 3, 0], 25 * np.argmax(labels, axis=1) / 127.5 - 1)
    assert np.sum(labels, axis=0).min() > 0


def test_each_seed_step_and_stream_has_noise_of_its_own(make):
    drawn = []
    for seed in (0, 1):
        gan = make("GAN", seed=seed)
        for step in (0, 1):
            gan.step.assign(step)
            drawn += [np.array(gan.noise(4, stream)) for stream in (1, 2)]
    assert len({float(noise[0, 0]) for noise in drawn}) == 8
    assert abs(np.mean(drawn)) < 0.1 and abs(np.std(drawn) - 1) < 0.1


# --- the two halves of a step ---


@pytest.mark.parametrize("name", ["GAN", "JointGAN", "SmoothGAN", "ConditionalGAN"])
def test_each_half_of_a_step_lowers_its_loss_and_trains_only_its_network(make, name):
    """The other's trained weights stay, bit for bit. In one update the generator's moving statistics follow what it makes."""
    gan = make(name, learning_rate=1e-3)
    real, z = gan.real(32), gan.noise(32, stream=1)
    halves = {"discriminator": lambda: gan.discriminator_step(real, z)[0], "generator": lambda: gan.generator_step(z)}

    def trained_weights():
        return {each: [weight.numpy() for weight in getattr(gan, each).trainable_weights] for each in halves}

    for moving, half in halves.items():
        before = trained_weights()
        losses = [float(half()) for _ in range(6)]
        assert losses[-1] < 0.9 * losses[0]
        for each, after in trained_weights().items():
            assert equal(before[each], after) == (each != moving), each


@pytest.mark.parametrize(("name", "updates"), [("GAN", 2), ("JointGAN", 1)])
def test_the_losses_are_the_means_of_minus_log_d(make, name, updates):
    """-log D on real images, -log(1 - D) on generated ones; G's is -log D. With a rate of nearly 0 nothing moves between."""
    gan = make(name, learning_rate=1e-12)
    real, z = gan.real(8), gan.noise(8, stream=1)
    on_real = np.array(gan.discriminator(real))
    by_batch = updates == 1  # only in one update are generated images normalised by their batch, as in G's half
    on_fake = np.array(gan.discriminator(gan.generator(z, training=by_batch)))
    loss, accuracy = gan.discriminator_step(real, z)
    right = (np.logaddexp(0, -on_real).mean() + np.logaddexp(0, on_fake).mean()) / 2
    assert float(loss) == pytest.approx(right, rel=1e-4)
    assert float(accuracy) == pytest.approx(((on_real > 0).mean() + (on_fake < 0).mean()) / 2)
    assert int(gan.d_optimizer.iterations) == updates
    on_fake = np.array(gan.discriminator(gan.generator(z, training=True)))
    assert float(gan.generator_step(z)) == pytest.approx(np.logaddexp(0, -on_fake).mean(), rel=1e-4)


def test_the_penalty_is_the_mean_squared_gradient_at_real_images(gan04, make):
    """Of a linear discriminator w·x + b the gradient is w everywhere: λ|w|² pulls w by 2λw, and by nothing else."""
    start, after = None, {}
    for penalty in (0.0, 0.5):
        gan = make("SmoothGAN", penalty=penalty)
        keras = gan04.keras
        gan.discriminator = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        gan.d_optimizer = keras.optimizers.SGD(0.1)
        start = gan.discriminator.get_weights()[0]
        gan.discriminator_step(gan.real(8), gan.noise(8, stream=1))
        after[penalty] = gan.discriminator.get_weights()[0]
    assert np.allclose(after[0.0] - after[0.5], 0.1 * 0.5 * 2 * start, atol=1e-6)


@pytest.mark.parametrize(("name", "count"), [("GAN", 8), ("JointGAN", 16), ("ConditionalGAN", 16)])
def test_each_half_of_a_step_gets_noise_and_labels_of_its_own(gan04, make, name, count):
    gan, seen = make(name), []
    gan.discriminator_step = lambda real, z: seen.extend((real, z)) or (0.0, 0.0)
    gan.generator_step = lambda z: seen.append(z) or 0.0
    gan.training_step(16)
    real, z_of_d, z_of_g = (gan04.tf.nest.flatten(each) for each in seen)  # with their labels, if any
    assert {len(part) for part in [*real, *z_of_d]} == {count} and {len(part) for part in z_of_g} == {16}
    for one, other in zip(z_of_d, z_of_g):
        assert not np.array_equal(one, other[:count])


@pytest.mark.parametrize("step", [0, 8, 9])
def test_a_fifth_of_the_fakes_are_real_images_with_a_wrong_label(gan04, make, monkeypatch, step):
    gan, seen = make("ConditionalGAN"), []
    monkeypatch.setattr(gan04.SmoothGAN, "discriminator_loss", lambda self, real, fake: seen.extend((real, fake)))
    gan.step.assign(step)
    real, z = gan.real(40), gan.noise(40, stream=1)
    fake = gan.fake(z, training=False)
    assert equal(fake, [gan.generator(z, training=False), z[1]])  # judged under the labels that they were made with
    gan.discriminator_loss(real, fake)
    assert seen[0] is real and [len(part) for part in seen[1]] == [40, 40]
    images, labels = (np.array(part) for part in seen[1])
    assert np.array_equal(images[:8], real[0][:8]) and np.array_equal(images[8:], fake[0][8:])
    assert np.array_equal(labels[8:], fake[1][8:])
    assert (labels[:8].sum(axis=1) == 1).all() and not (labels[:8] * np.array(real[1])[:8]).any()


# --- the average ---


def test_the_average_of_weights_and_statistics_soon_forgets_the_start(make):
    gan = make("AveragedGAN", average=0.9)
    mean = gan.generator.get_weights()
    for steps_before, keep in [(0, 1 / 10), (1, 2 / 11), (2, 3 / 12), (1_000, 0.9)]:
        gan.step.assign(steps_before)
        gan.training_step(8)
        mean = [keep * old + (1 - keep) * new for old, new in zip(mean, gan.generator.get_weights(), strict=True)]
    assert len(gan.averaged.weights) > len(gan.averaged.trainable_weights)
    for ours, right in zip(gan.averaged.get_weights(), mean, strict=True):
        assert np.allclose(ours, right, atol=1e-6)


def test_the_average_changes_nothing_in_the_training(gan04, make):
    """A run that goes on as another class, from the same state, goes on to the same weights."""
    plain, averaged = make("GAN", seed=2), make("AveragedGAN", seed=0)
    plain.training_step(8)
    gan04.continue_from(averaged, plain)
    for gan in (plain, averaged):
        gan.training_step(8)
    for one, other in zip(gan04.state(plain), gan04.state(averaged), strict=True):
        assert np.array_equal(one.numpy(), other.numpy())


def test_a_saved_generator_loads_again_and_generates_the_same(gan04, make, tmp_path):
    averaged, labels = make("ConditionalGAN").averaged, np.array([3, 8])
    averaged.save(tmp_path / "generator.keras")
    loaded = gan04.keras.models.load_model(tmp_path / "generator.keras")
    assert np.array_equal(gan04.generate(loaded, 2, labels), gan04.generate(averaged, 2, labels))


# --- the loop ---


def test_an_interrupted_training_goes_on_to_the_same_numbers(gan04, make, capsys):
    gan = make("ConditionalGAN", steps=20, penalty=0.05, average=0.9, seed=3)
    start = values(gan04, gan)
    gan.train(20, batch_size=8, save_interval=1000, at_save=gan04.no_pictures)
    right = values(gan04, gan)
    assert int(gan.step) == 20 and np.isfinite(gan.history).all()
    for variable, value in zip([*gan04.state(gan), *gan.averaged.weights], start, strict=True):
        variable.assign(value)
    assert int(gan.step) == 0

    def interrupt(step):
        if step == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gan.train(20, batch_size=8, save_interval=4, at_save=interrupt)
    assert int(gan.step) == 12 and "step 12 after" in capsys.readouterr().out
    gan.train(8, batch_size=8, save_interval=1000, at_save=gan04.no_pictures)
    assert equal(right, values(gan04, gan))


def test_the_history_holds_the_mean_of_the_steps_since_the_last_entry(gan04, make):
    gan = make("GAN")
    gan.train(4, batch_size=8, save_interval=1, at_save=gan04.no_pictures)
    single, gan.history = np.array(gan.history), []
    gan04.continue_from(gan, make("GAN"))
    gan.train(4, batch_size=8, save_interval=2, at_save=gan04.no_pictures)
    right = [(2, *single[:2, 1:].mean(axis=0)), (4, *single[2:, 1:].mean(axis=0))]
    assert np.allclose(gan.history, right, rtol=1e-5)


def test_a_call_takes_at_most_fifty_steps_and_ends_where_it_saves(gan04, make, monkeypatch, tmp_path, capsys):
    """NumPy's integers count as whole numbers. Where the folder can't be written, all pictures go to another."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").write_text("a file is in the way")
    gan, taken = make("GAN"), []

    def steps(n):
        assert n.dtype == "int32"  # as the compiled steps ask
        taken.append(int(n))
        gan.step.assign_add(n)
        return gan04.tf.zeros(3)

    gan.compiled[8] = steps
    gan.train(230, batch_size=np.int64(8), save_interval=np.int64(80))
    gan.train(0, batch_size=8)
    assert taken == [50, 30, 50, 30, 50, 20]
    assert {path.name for path in gan.folder.iterdir()} == {"mnist_0.png", "mnist_80.png", "mnist_160.png"}
    assert capsys.readouterr().out.count("can't be written") == 1
    shutil.rmtree(gan.folder)


def test_a_saved_grid_has_the_samples_in_rows(gan04, make, monkeypatch, tmp_path):
    """Sample i of this generator is grey i throughout; with labels, they are 0 to 9 again and again."""
    monkeypatch.chdir(tmp_path)
    asked = []

    def generator(inputs, training):
        assert not training
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


@pytest.mark.parametrize(("argument", "value"), [("save_interval", 0), ("epochs", 20.0), ("epochs", -1), ("batch_size", 1)])
def test_train_refuses_arguments_that_cannot_be_meant(gan04, make, argument, value):
    gan = make("ConditionalGAN")
    before = values(gan04, gan)
    with pytest.raises(ValueError, match=f"expected {argument} to be a whole number of at least .*, got {value!r}"):
        gan.train(**{"epochs": 2, "batch_size": 16, "save_interval": 1, argument: value})
    assert equal(before, values(gan04, gan))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": np.zeros((4, 28, 28), np.float32)}, r"expected uint8 images of shape \(n, 28, 28\), got float32"),
        ({"labels": np.zeros(3, int)}, "expected 4 labels, one for each image, got 3"),
        ({"labels": np.full(4, 10)}, "expected labels from 0 to 9, got 10 to 10"),
        ({"steps": 0}, "expected steps to be a whole number of at least 1, got 0"),
        ({"penalty": -0.2}, "expected penalty to be a finite number of at least 0, got -0.2"),
        ({"average": 1.0}, "expected average to be a finite number of at least 0 and below 1, got 1.0"),
        ({"learning_rate": 0.0}, "expected learning_rate to be a finite number above 0, got 0.0"),
        ({"betas": (0.5, 1.0)}, r"expected betas\[1\] to be a finite number of at least 0 and below 1, got 1.0"),
        ({"seed": 1.5}, "expected seed to be a whole number of at least 0, got 1.5"),
    ],
)
def test_a_gan_refuses_what_cannot_be_meant_before_it_sets_the_seed(gan04, arguments, message):
    """The GAN with labels hands on to the other classes what they check."""
    usual = {"images": np.zeros((4, 28, 28), np.uint8), "labels": np.zeros(4, int), "steps": 10}
    np.random.seed(5)
    with pytest.raises(ValueError, match=message):
        gan04.ConditionalGAN(**{**usual, **arguments})
    drawn = np.random.random()
    np.random.seed(5)
    assert drawn == np.random.random()


def test_a_gan_without_images_takes_those_of_mnist(gan04, sample):
    assert np.array_equal(gan04.GAN().images, sample.x_train)


# --- the score ---


def test_the_frechet_distance_agrees_with_scipys_matrix_root(gan04):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 500, 6)) @ rng.normal(size=(2, 6, 6)) + rng.normal(size=(2, 1, 6))
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    right = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)
    assert gan04.frechet(a, b) == pytest.approx(right)
    few = a[:4]  # points in a space of more dimensions: their covariance has eigenvalues of zero
    assert gan04.frechet(few, few + np.eye(6)[2] * 5) == pytest.approx(25)


def test_a_blur_spreads_ink_over_three_by_three_pixels(gan04):
    images = np.random.default_rng(0).uniform(-1, 1, (2, 28, 28, 1)).astype("float32")
    right = scipy.ndimage.uniform_filter(images, (1, 3, 3, 1), mode="constant", cval=-1)
    assert np.allclose(gan04.blurred(images), right, atol=1e-6)


def test_the_perplexity_of_digits_is_ten_at_most_and_one_at_least(gan04):
    assert gan04.perplexity(np.arange(1000) % 10) == pytest.approx(10)
    assert gan04.perplexity(np.full(50, 7)) == pytest.approx(1)
    assert gan04.perplexity(np.array([0, 1, 0, 1])) == pytest.approx(2)


def test_a_point_is_covered_within_the_distance_of_the_third_neighbour(gan04):
    """More points than fit in one part, so that parts are joined."""
    rng = np.random.default_rng(0)
    points, by = rng.normal(size=(300, 5)) * 1.6, rng.normal(size=(1200, 5))
    apart = np.linalg.norm(points[:, None] - by, axis=2)
    radius = np.sort(np.linalg.norm(by[:, None] - by, axis=2), axis=1)[:, 3]
    right = (apart < radius).any(axis=1).mean()
    assert 0.2 < right < 0.95 and gan04.covered(points, by) == pytest.approx(right)


def test_the_nearest_training_image_of_a_copy_is_at_no_distance(gan04, sample, monkeypatch):
    monkeypatch.setattr(gan04, "mnist", sample, raising=False)
    images = gan04.scaled(sample.x_train[[5, 700, 3999]])
    images[1, 10, 10] += 0.5
    assert np.allclose(gan04.nearest_training_image(images), [0, 0.5, 0], atol=0.02)


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


def test_draw_writes_each_digit_that_is_asked_for_in_one_style(gan04, make, monkeypatch):
    asked, network = [], make("ConditionalGAN").generator

    def generator(inputs, training):
        asked.append(inputs)
        return network(inputs, training=training)

    monkeypatch.setattr(gan04, "conditional_generator", generator, raising=False)
    assert gan04.draw("2026", seed=1).shape == (28, 4 * 28)
    style, labels = asked[0]
    assert labels.argmax(axis=1).tolist() == [2, 0, 2, 6] and (style == style[0]).all()
    assert gan04.draw(7, seed=1).shape == (28, 28)
    assert not np.array_equal(gan04.draw(7, seed=2), gan04.draw(7, seed=1))


@pytest.mark.parametrize("wrong", ["", "-1", "2²"])
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


def test_the_normal_density_is_scipys(gan04):
    x = np.linspace(-5, 6, 101)
    assert np.allclose(gan04.normal_density(x, 0.5, 0.4), scipy.stats.norm.pdf(x, 0.5, 0.4))
