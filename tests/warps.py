"""What is tested alike of the random warps of notebooks 01 and 02."""

from types import SimpleNamespace

import numpy as np
import pytest


def check_random_warp(names: SimpleNamespace, affine: float) -> None:
    """The warp is smooth, its elastic field moves by half a pixel, and its parts are as strong as asked."""
    rng, centre = np.random.default_rng(0), slice(8, 20)

    def moves(**strength: float) -> np.ndarray:
        found = [names.random_warp(rng, **strength) - names.PIXELS for _ in range(300)]
        return np.array(found)[:, :, centre, centre]

    assert np.abs(moves(elastic=0, affine=0, shift=0)).max() == 0
    field = names.random_warp(rng, affine=0, shift=0) - names.PIXELS
    assert field.std() == pytest.approx(0.5) and np.abs(np.diff(field, axis=1)).max() < 0.5
    assert moves(elastic=0, affine=0).std() == pytest.approx(3**-0.5, rel=0.1)
    assert 0.9 < np.abs(moves(elastic=0, affine=0)).max() <= 1
    turned = moves(elastic=0, shift=0)
    np.testing.assert_allclose(turned[..., 0, 0], -turned[..., -1, -1], atol=1e-9)  # the centre stays
    assert (turned[:, 0, -1, 5] - turned[:, 0, 0, 5]).std() / 11 == pytest.approx(affine, rel=0.15)
