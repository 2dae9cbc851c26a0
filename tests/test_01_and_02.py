"""What notebooks 01 and 02 have in common: softmax and cross-entropy, random warps, and a figure of benchmark results."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tests.benchmarks.common import read_results
from tests.notebook_code import NOTEBOOKS, code_cells, text_of


def columns(images):
    return images.reshape(len(images), -1).T


def with_images(function):
    """A function of notebook 01, which takes columns (784, n), as one of images (n, 28, 28, 1)."""
    return lambda images, *args, **options: function(columns(images), *args, **options).T.reshape(-1, 28, 28, 1)


@pytest.fixture(scope="module", params=["01", "02"])
def nb(request, definitions):
    """The definitions of a notebook; those of 01, where a sample is a column, converted to samples in rows."""
    if request.param == "02":
        names = definitions("02_keras_cnn_mnist")
        return SimpleNamespace(**vars(names), affine=0.08, group_sizes=[1, 1, 1, 1, 1, 1, 2, 2], unwarped=2)
    names = definitions("01_mlp_from_scratch")
    return SimpleNamespace(
        softmax=lambda logits: names.softmax(logits.T).T,
        cross_entropy=lambda logits, target: names.cross_entropy(logits.T, target.T),
        random_warp=names.random_warp,
        PIXELS=names.PIXELS,
        warp=with_images(names.warp),
        warp_groups=with_images(names.warp_quarters),
        affine=0.05,
        group_sizes=[2, 2, 3, 3],
        unwarped=0,
    )


@pytest.mark.parametrize("scale", [1, 1000])
def test_softmax_and_cross_entropy_are_those_of_keras(nb, scale):
    logits, labels = scale * np.random.default_rng(0).normal(size=(6, 10)).astype(np.float32), np.arange(6)
    np.testing.assert_allclose(nb.softmax(logits), keras.ops.softmax(logits).numpy(), atol=1e-6)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    assert nb.cross_entropy(logits, np.eye(10)[labels]) == pytest.approx(float(loss), rel=1e-6)


def test_a_warp_fetches_whole_pixels_and_mixes_neighbours(nb):
    images = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    unmoved = nb.warp(images, nb.PIXELS)
    np.testing.assert_allclose(unmoved, images, atol=2e-3)
    assert unmoved.dtype == np.float32
    moved = nb.warp(images, nb.PIXELS + [[[2.0]], [[1.0]]])
    np.testing.assert_allclose(moved[:, :24, :25], images[:, 2:26, 1:26], atol=1e-6)
    assert np.abs(moved[:, 26:, :25] - images[:, 27:, 1:26]).max() < 2e-3, "beyond the edge, the edge is fetched"
    between = nb.warp(images, nb.PIXELS + [[[0.25]], [[0.5]]])
    upper, lower = (images[:, rows, :26] / 2 + images[:, rows, 1:27] / 2 for rows in (slice(0, 26), slice(1, 27)))
    np.testing.assert_allclose(between[:, :26, :26], 0.75 * upper + 0.25 * lower, atol=1e-6)


def test_a_random_warp_is_smooth_and_as_strong_as_asked(nb):
    rng, centre = np.random.default_rng(0), slice(8, 20)

    def moves(**strength):
        found = [nb.random_warp(rng, **strength) - nb.PIXELS for _ in range(300)]
        return np.array(found)[:, :, centre, centre]

    assert np.abs(moves(elastic=0, affine=0, shift=0)).max() == 0
    field = nb.random_warp(rng, affine=0, shift=0) - nb.PIXELS
    assert field.std() == pytest.approx(0.5) and np.abs(np.diff(field, axis=1)).max() < 0.5
    shifts = moves(elastic=0, affine=0)
    assert shifts.std() == pytest.approx(3**-0.5, rel=0.1) and 0.9 < np.abs(shifts).max() <= 1
    turned = moves(elastic=0, shift=0)
    np.testing.assert_allclose(turned[..., 0, 0], -turned[..., -1, -1], atol=1e-9)  # the centre stays
    assert (turned[:, 0, -1, 5] - turned[:, 0, 0, 5]).std() / 11 == pytest.approx(nb.affine, rel=0.15)


def test_each_group_of_a_mini_batch_has_its_own_warp(nb, sample):
    images = np.repeat(sample.x_train[:1, ..., None] / np.float32(255), 10, axis=0)
    warped = nb.warp_groups(images, np.random.default_rng(0))
    assert warped.shape == images.shape and warped.dtype == np.float32 and 0 <= warped.min() <= warped.max() <= 1
    _, sizes = np.unique(warped, axis=0, return_counts=True)
    assert sorted(sizes) == nb.group_sizes
    assert (warped == images).all(axis=(1, 2, 3)).sum() == nb.unwarped
    assert nb.warp_groups(images[:1], np.random.default_rng(0)).shape == (1, 28, 28, 1)
    different = sample.x_train[:10, ..., None] / np.float32(255)
    unmoved = nb.warp_groups(different, np.random.default_rng(0), elastic=0, affine=0, shift=0)
    np.testing.assert_allclose(unmoved, different, atol=1e-2)


@pytest.mark.parametrize(("path", "benchmark"), [(NOTEBOOKS[0], "mlp-ladder"), (NOTEBOOKS[1], "cnn-changes")])
def test_the_notebook_prints_and_draws_the_benchmark_results(path, benchmark):
    outputs = [output for cell in code_cells(path) for output in cell.outputs]
    lines = "".join(map(text_of, outputs)).splitlines()
    alts = [output.metadata["image/png"]["alt"] for output in outputs if "image/png" in output.get("data", {})]
    for row, found in read_results(benchmark).items():
        mean = np.mean(found["mistakes, %"])
        assert any(line.startswith(row + " ") and line.endswith(f"mean {mean:5.2f} %") for line in lines)
        assert any(f"{row} {mean:.2f} %" in alt for alt in alts)
