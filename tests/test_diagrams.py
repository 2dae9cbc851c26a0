"""The drawings show what they are given, each at its place, and refuse what doesn't fit."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Circle, Rectangle

from helpers.diagrams import BACKWARD, draw_gan, draw_landscape, draw_layers, draw_unrolled, draw_window


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    plt.close("all")


def words(ax):
    """The texts on `ax`, each with its place; arrows have none."""
    return {text.get_text(): text.get_position() for text in ax.texts if text.get_text()}


def arrows(ax):
    """(start, end, colour, width) of each arrow on `ax`, rounded."""
    found = []
    for text in ax.texts:
        if getattr(text, "arrow_patch", None) is not None:
            start, end = np.round(text.xyann, 2), np.round(text.xy, 2)
            found.append((tuple(start), tuple(end), text.arrowprops["color"], text.arrowprops["linewidth"]))
    return found


# --- layers ---

WEIGHTS = [np.array([[0.2, 0.6], [-0.5, 0.4]]), np.array([[0.8, -0.4]])]
NUMBERS = {
    "values": [np.array([1, 0.5]), np.array([0.62246, 0.42556]), np.array([0.58121])],
    "weights": WEIGHTS,
    "deltas": [None, np.array([-0.0192, 0.00996]), np.array([-0.10194])],
    "gradients": [np.array([[-0.0191, -0.0096], [0.0101, 0.0049]]), np.array([[-0.0635, -0.0434]])],
}


def test_every_node_is_joined_to_every_node_of_the_next_layer():
    (ax,) = draw_layers({"X": 3, "Y": 4, "Z": 2}).axes
    assert len([patch for patch in ax.patches if isinstance(patch, Circle)]) == 9
    assert len(arrows(ax)) == 3 * 4 + 4 * 2
    assert {"$X_{0}$", "$X_{2}$", "$Y_{3}$", "$Z_{1}$"} <= set(words(ax))


def test_arrows_point_forward_and_the_marked_ones_are_thick():
    (ax,) = draw_layers({"X": 3, "Y": 4, "Z": 2}, marked=[(0, 0, 2), (1, 0, 3)]).axes
    place = words(ax)
    thick = [arrow for arrow in arrows(ax) if arrow[3] > 2]
    assert all(start[0] < end[0] for start, end, _, _ in arrows(ax))
    assert len(thick) == 2 and {colour for _, _, colour, _ in thick} == {BACKWARD}
    for (start, end, _, _), (tail, tip) in zip(thick, [("$X_{2}$", "$Y_{0}$"), ("$Y_{3}$", "$Z_{0}$")], strict=True):
        assert np.hypot(*np.subtract(start, place[tail])) < 0.4 and np.hypot(*np.subtract(end, place[tip])) < 0.4


def test_headings_stand_above_their_layers_and_captions_below_their_arrows():
    fig = draw_layers({"X": 2, "Y": 1}, headings=("input", "output"), captions=("two\nlines",), target="should be 1", title="T")
    (ax,) = fig.axes
    place = words(ax)
    assert place["input"][0] == place["$X_{0}$"][0] and place["output"][0] == place["$Y_{0}$"][0]
    assert place["input"][1] > place["$X_{0}$"][1] > place["two\nlines"][1]
    assert place["$X_{0}$"][0] < place["two\nlines"][0] < place["$Y_{0}$"][0] < place["should be 1"][0]
    assert ax.get_title() == "T"
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert all(left < x < right and bottom < y < top for x, y in place.values())


def test_numbers_stand_in_their_nodes_and_on_their_arrows():
    (ax,) = draw_layers({"X": 2, "Y": 2, "Z": 1}, **NUMBERS).axes
    place = words(ax)
    centres = [patch.center for patch in ax.patches if isinstance(patch, Circle)]
    for text, node in [("1", 0), ("0.5", 1), ("0.6225", 2), ("0.4256", 3), ("0.5812", 4)]:
        assert place[text] == centres[node]
    for text, node in [("-0.0192", 2), ("+0.0100", 3), ("-0.1019", 4)]:
        assert place[text][0] == centres[node][0] and place[text][1] < centres[node][1]
    for weight, gradient, tail, tip in [
        ("0.2", "-0.0191", 0, 2),
        ("0.6", "-0.0096", 1, 2),
        ("-0.5", "+0.0101", 0, 3),
        ("0.4", "+0.0049", 1, 3),
        ("0.8", "-0.0635", 2, 4),
        ("-0.4", "-0.0434", 3, 4),
    ]:
        (x0, y0), (x1, y1) = centres[tail], centres[tip]
        x, y = np.add(place[weight], place[gradient]) / 2
        assert place[weight][1] > place[gradient][1]
        assert y - y0 == pytest.approx((x - x0) * (y1 - y0) / (x1 - x0)), f"{weight} lies on its arrow"
    slanted = {text.get_text() for text in ax.texts if text.get_style() == "italic"}
    assert slanted == {"-0.0192", "+0.0100", "-0.1019", "-0.0191", "-0.0096", "+0.0101", "+0.0049", "-0.0635", "-0.0434"}


def test_a_layer_without_values_keeps_its_names():
    (ax,) = draw_layers({"X": 1, "Y": 1}, values=[np.array([0.25]), None]).axes
    assert {"0.25", "$Y_{0}$"} == set(words(ax))


def test_no_two_numbers_stand_on_one_place():
    fig = draw_layers({"X": 2, "Y": 2, "Z": 1}, **NUMBERS)
    fig.draw_without_rendering()
    boxes = [text.get_window_extent() for text in fig.axes[0].texts if text.get_text()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("weights", [WEIGHTS[0]]),
        ("weights", [WEIGHTS[0], WEIGHTS[1].T]),
        ("gradients", [WEIGHTS[0].T[:1], WEIGHTS[1]]),
        ("values", [np.ones(2), np.ones(3), np.ones(1)]),
        ("deltas", [None, np.ones((2, 1)), np.ones(1)]),
    ],
)
def test_numbers_that_do_not_fit_the_layers_are_refused(name, wrong):
    with pytest.raises(ValueError, match=f"expected {name} of shapes .*, got "):
        draw_layers({"X": 2, "Y": 2, "Z": 1}, **{name: wrong})


# --- the unrolled loop ---


@pytest.mark.parametrize("steps", [1, 4, 11])
def test_the_unrolled_loop_repeats_one_node_one_input_and_its_weights(steps):
    (ax,) = draw_unrolled(steps).axes
    texts = [text.get_text() for text in ax.texts if text.get_text()]
    assert [texts.count(name) for name in ("$U$", "$W$", "$+\\,b$", "$0$")] == [steps, steps, steps, 1]
    assert {f"$h_{{{steps}}}$", f"$x_{{{steps}}}$"} <= set(texts) and f"$h_{{{steps + 1}}}$" not in texts
    assert len(arrows(ax)) == 2 * steps and {colour for _, _, colour, _ in arrows(ax)} == {"black"}
    sideways = [(start, end) for start, end, _, _ in arrows(ax) if start[1] == end[1]]
    assert len(sideways) == steps and all(start[0] < end[0] for start, end in sideways)


def test_backward_the_error_enters_at_each_step_and_flows_back():
    (ax,) = draw_unrolled(3, backward=True).axes
    assert {"$h_{1} - y_{1}$", "$h_{3} - y_{3}$"} <= set(words(ax)) and "$+\\,b$" not in words(ax)
    back = [(start, end) for start, end, colour, _ in arrows(ax) if colour == BACKWARD]
    down = [(start, end) for start, end in back if start[0] == end[0]]
    left = [(start, end) for start, end in back if start[1] == end[1]]
    assert len(down) == 3 and all(start[1] > end[1] for start, end in down)
    assert len(left) == 2 and all(start[0] > end[0] for start, end in left)
    assert len(arrows(ax)) == 6 + 5


# --- the landscape ---


def test_the_landscape_shows_each_walk_from_its_start_and_the_goal():
    x, y = np.linspace(0, 2, 9), np.linspace(-1, 3, 12)
    loss = (x - 1) ** 2 + (y[:, None] - 1) ** 2 + 0.1
    walks = {"one": np.array([[0, 0], [0.5, 0.5]]), "two": np.array([[2, 3], [1, 1], [1, 1.2]])}
    fig = draw_landscape(x, y, loss, walks, goal=(1, 1), title="t", xlabel="W", ylabel="U")
    ax = fig.axes[0]
    for line, (label, walk) in zip(ax.lines, walks.items()):
        assert line.get_label() == label and np.array_equal(np.transpose(line.get_data()), walk)
    assert [*ax.lines[2].get_data()] == [1, 1] and ax.get_xlim() == (0, 2) and ax.get_ylim() == (-1, 3)


@pytest.mark.parametrize("loss", [np.ones((9, 12)), np.zeros((12, 9))])
def test_a_loss_that_does_not_fit_or_is_not_positive_is_refused(loss):
    with pytest.raises(ValueError, match=r"expected a positive loss of shape \(12, 9\), got shape"):
        draw_landscape(np.arange(9), np.arange(12), loss, {}, goal=(1, 1), title="", xlabel="", ylabel="")


# --- the sliding window ---

IMAGE = np.round(np.random.default_rng(0).random((6, 7)), 1)
KERNEL = np.array([[-1, 0, 1], [-2, 0, 2]])
MAP = np.array([[np.sum(IMAGE[i : i + 2, j : j + 3] * KERNEL) for j in range(5)] for i in range(5)])


def test_the_window_shows_the_image_the_map_and_each_stop_with_its_numbers():
    fig = draw_window(IMAGE, KERNEL, MAP, [(0, 0), (4, 3)])
    image, feature_map = fig.axes[:2]
    assert np.array_equal(image.images[0].get_array(), IMAGE) and np.array_equal(feature_map.images[0].get_array(), MAP)
    for ax, size in ((image, (3, 2)), (feature_map, (1, 1))):
        frames = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
        assert [(frame.get_xy(), (frame.get_width(), frame.get_height())) for frame in frames] == [
            ((-0.5, -0.5), size),
            ((2.5, 3.5), size),
        ]
    for row, (i, j) in enumerate([(0, 0), (4, 3)]):
        window, kernel, equals = fig.axes[2 + 3 * row : 5 + 3 * row]
        assert np.array_equal(window.images[0].get_array(), IMAGE[i : i + 2, j : j + 3])
        assert np.array_equal(kernel.images[0].get_array(), KERNEL)
        assert window.get_title() == f"{'ab'[row]}: window"
        assert [text.get_text() for text in kernel.texts] == ["−1", "0", "1", "−2", "0", "2"]
        (result,) = [text.get_text() for text in equals.texts]
        assert float(result.replace("= ", "").replace("−", "-")) == pytest.approx(MAP[i, j], abs=0.051)
        assert f"{'ab'[row]}: {result[2:]}" in words(feature_map)


def test_numbers_are_light_on_dark_and_dark_on_light():
    fig = draw_window(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0]]), np.eye(2), [(0, 0), (0, 1)])
    colours = {fig.axes[k].texts[0].get_text(): fig.axes[k].texts[0].get_color() for k in (2, 5)}
    assert colours == {"1": "white", "0": "black"}


def test_zero_in_the_feature_map_is_white():
    feature_map = draw_window(IMAGE, KERNEL, MAP, [(0, 0)]).axes[1].images[0]
    low, high = feature_map.get_clim()
    assert low == -high == -np.abs(MAP).max()


@pytest.mark.parametrize("stop", [(5, 0), (0, 5), (-1, 0), (0, -1)])
def test_a_stop_outside_the_feature_map_is_refused(stop):
    with pytest.raises(ValueError, match="expected stops inside the feature map"):
        draw_window(IMAGE, KERNEL, MAP, [stop])


# --- the two halves of a GAN's training step ---


def test_each_half_of_a_gans_step_marks_the_network_that_it_updates():
    fig = draw_gan()
    assert [ax.get_title() for ax in fig.axes] == ["discriminator step", "generator step"]
    for ax, updated in zip(fig.axes, "DG"):
        boxes = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
        filled = {letter: box.get_facecolor()[:3] != (1, 1, 1) for letter, box in zip("GD", boxes, strict=True)}
        assert filled == {"G": updated == "G", "D": updated == "D"}
        places = words(ax)
        assert places["updated"][0] == places[f"${updated}$"][0] and places["updated"][1] < places[f"${updated}$"][1]


def test_only_the_discriminator_step_sees_real_images():
    of_d, of_g = (words(ax) for ax in draw_gan().axes)
    assert "real images" in of_d and "real images" not in of_g
    assert {"$z$", "$G$", "generated\nimages", "$D$", "loss"} <= set(of_d) & set(of_g)


def test_the_gradient_goes_back_to_the_network_that_is_updated():
    for ax, place in zip(draw_gan().axes, (6, 2)):
        back = sorted((start, end) for start, end, colour, _ in arrows(ax) if colour == BACKWARD)
        assert all(start[0] > end[0] for start, end in back), "a gradient that does not go back"
        assert place < back[0][1][0] < place + 1 and back[-1][0][0] > 7
        assert len(back) == (1 if place == 6 else 2)
        forward = [(start, end) for start, end, colour, _ in arrows(ax) if colour != BACKWARD]
        assert all(start[0] < end[0] for start, end in forward)
