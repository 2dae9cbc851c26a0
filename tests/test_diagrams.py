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


def patches(ax, kind):
    return [patch for patch in ax.patches if isinstance(patch, kind)]


def arrows(ax, backward=False):
    """(start, end, width) of each arrow on `ax` that points forward, or of each backward one, rounded."""
    found = [text for text in ax.texts if getattr(text, "arrow_patch", None) is not None]
    return [
        (tuple(np.round(arrow.xyann, 2)), tuple(np.round(arrow.xy, 2)), arrow.arrowprops["linewidth"])
        for arrow in found
        if (arrow.arrowprops["color"] == BACKWARD) == backward
    ]


# --- layers ---

NUMBERS = {
    "values": [np.array([1, 0.5]), np.array([0.62246, 0.42556]), np.array([0.58121])],
    "weights": [np.array([[0.2, 0.6], [-0.5, 0.4]]), np.array([[0.8, -0.4]])],
    "deltas": [None, np.array([-0.0192, 0.00996]), np.array([-0.10194])],
    "gradients": [np.array([[-0.0191, -0.0096], [0.0101, 0.0049]]), np.array([[-0.0635, -0.0434]])],
}


def test_nodes_are_joined_to_the_next_layer_and_marked_arrows_are_thick():
    (ax,) = draw_layers({"X": 3, "Y": 4, "Z": 2}, marked=[(0, 0, 2), (1, 0, 3)]).axes
    place = words(ax)
    assert len(patches(ax, Circle)) == 9 and {"$X_{0}$", "$X_{2}$", "$Y_{3}$", "$Z_{1}$"} <= set(place)
    thin, thick = arrows(ax), arrows(ax, backward=True)
    assert len(thin) == 3 * 4 + 4 * 2 - 2 and all(start[0] < end[0] for start, end, _ in thin + thick)
    assert max(width for _, _, width in thin) < min(width for _, _, width in thick)
    for (start, end, _), (tail, tip) in zip(thick, [("$X_{2}$", "$Y_{0}$"), ("$Y_{3}$", "$Z_{0}$")], strict=True):
        assert 0.2 < np.hypot(*np.subtract(start, place[tail])) < 0.4, "from the rim of its circle"
        assert 0.2 < np.hypot(*np.subtract(end, place[tip])) < 0.4


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


def test_numbers_stand_in_their_nodes_and_on_their_arrows_without_overlap():
    fig = draw_layers({"X": 2, "Y": 2, "Z": 1}, **NUMBERS)
    (ax,) = fig.axes
    place = words(ax)
    centres = [patch.center for patch in patches(ax, Circle)]
    assert [place[text] for text in ("1", "0.5", "0.6225", "0.4256", "0.5812")] == centres
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
    fig.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_layer_without_values_keeps_its_names():
    (ax,) = draw_layers({"X": 1, "Y": 1}, values=[np.array([0.25]), None]).axes
    assert {"0.25", "$Y_{0}$"} == set(words(ax))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("weights", NUMBERS["weights"][:1]),
        ("gradients", [np.ones((2, 2)), np.ones((2, 1))]),
        ("values", [np.ones(2), np.ones(3), np.ones(1)]),
        ("deltas", [None, np.ones((2, 1)), np.ones(1)]),
    ],
)
def test_numbers_that_do_not_fit_the_layers_are_refused(name, wrong):
    with pytest.raises(ValueError, match=f"expected {name} of shapes .*, got "):
        draw_layers({"X": 2, "Y": 2, "Z": 1}, **{name: wrong})


# --- the unrolled loop ---


@pytest.mark.parametrize("steps", [1, 11])
def test_the_unrolled_loop_repeats_one_node_one_input_and_its_weights(steps):
    (ax,) = draw_unrolled(steps).axes
    texts = [text.get_text() for text in ax.texts if text.get_text()]
    assert [texts.count(name) for name in ("$U$", "$W$", "$+\\,b$", "$0$")] == [steps, steps, steps, 1]
    assert {f"$h_{{{steps}}}$", f"$x_{{{steps}}}$"} <= set(texts) and f"$h_{{{steps + 1}}}$" not in texts
    assert len(arrows(ax)) == 2 * steps and not arrows(ax, backward=True)
    sideways = [(start, end) for start, end, _ in arrows(ax) if start[1] == end[1]]
    assert len(sideways) == steps and all(start[0] < end[0] for start, end in sideways)


def test_backward_the_error_enters_at_each_step_and_flows_back():
    (ax,) = draw_unrolled(3, backward=True).axes
    assert {"$h_{1} - y_{1}$", "$h_{3} - y_{3}$"} <= set(words(ax)) and "$+\\,b$" not in words(ax)
    back = arrows(ax, backward=True)
    down = [(start, end) for start, end, _ in back if start[0] == end[0]]
    left = [(start, end) for start, end, _ in back if start[1] == end[1]]
    assert len(down) == 3 and all(start[1] > end[1] for start, end in down)
    assert len(left) == 2 and all(start[0] > end[0] for start, end in left)
    assert len(arrows(ax)) == 6 and len(back) == 5


# --- the landscape ---


def test_the_landscape_shows_each_walk_from_its_start_and_the_goal():
    x, y = np.linspace(0, 2, 9), np.linspace(-1, 3, 12)
    loss = (x - 1) ** 2 + (y[:, None] - 1) ** 2 + 0.1
    walks = {"one": np.array([[0, 0], [0.5, 0.5]]), "two": np.array([[2, 3], [1, 1], [1, 1.2]])}
    ax = draw_landscape(x, y, loss, walks, goal=(1, 1), title="t", xlabel="W", ylabel="U").axes[0]
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
    stops = [(0, 0), (4, 3)]
    fig = draw_window(IMAGE, KERNEL, MAP, stops)
    image, feature_map = fig.axes[:2]
    shown = feature_map.images[0]
    assert np.array_equal(image.images[0].get_array(), IMAGE) and np.array_equal(shown.get_array(), MAP)
    assert shown.get_clim() == (-np.abs(MAP).max(), np.abs(MAP).max()), "zero is white"
    for ax, size in ((image, (3, 2)), (feature_map, (1, 1))):
        frames = [(*frame.get_xy(), frame.get_width(), frame.get_height()) for frame in patches(ax, Rectangle)]
        assert frames == [(-0.5, -0.5, *size), (2.5, 3.5, *size)]
    for row, (i, j) in enumerate(stops):
        window, kernel, equals = fig.axes[2 + 3 * row : 5 + 3 * row]
        assert np.array_equal(window.images[0].get_array(), IMAGE[i : i + 2, j : j + 3])
        assert np.array_equal(kernel.images[0].get_array(), KERNEL)
        assert window.get_title() == f"{'ab'[row]}: window"
        assert [text.get_text() for text in kernel.texts] == ["−1", "0", "1", "−2", "0", "2"]
        (result,) = [text.get_text() for text in equals.texts]
        assert float(result.replace("= ", "").replace("−", "-")) == pytest.approx(MAP[i, j], abs=0.051)
        assert f"{'ab'[row]}: {result[2:]}" in words(feature_map)


def test_numbers_are_light_on_dark_and_dark_on_light():
    fig = draw_window(np.eye(2), np.array([[1.0]]), np.eye(2), [(0, 0), (0, 1)])
    colours = {fig.axes[k].texts[0].get_text(): fig.axes[k].texts[0].get_color() for k in (2, 5)}
    assert colours == {"1": "white", "0": "black"}


@pytest.mark.parametrize("stop", [(5, 0), (0, 5), (-1, 0), (0, -1)])
def test_a_stop_outside_the_feature_map_is_refused(stop):
    with pytest.raises(ValueError, match="expected stops inside the feature map"):
        draw_window(IMAGE, KERNEL, MAP, [stop])


# --- the two halves of a GAN's training step ---


def test_each_half_of_a_gans_step_marks_and_reaches_the_network_it_updates():
    axes = draw_gan().axes
    assert [ax.get_title() for ax in axes] == ["discriminator step", "generator step"]
    for ax, updated, place, count in zip(axes, "DG", (6, 2), (1, 2)):
        colours = [box.get_facecolor()[:3] for box in patches(ax, Rectangle)]
        assert [colour != (1, 1, 1) for colour in colours] == [updated == "G", updated == "D"]
        places = words(ax)
        assert {"$z$", "$G$", "generated\nimages", "$D$", "loss"} <= set(places)
        assert ("real images" in places) == (updated == "D"), "only the discriminator step sees real images"
        assert places["updated"][0] == places[f"${updated}$"][0] == place and places["updated"][1] < 0
        assert all(start[0] < end[0] for start, end, _ in arrows(ax))
        back = sorted(arrows(ax, backward=True))
        assert len(back) == count and all(start[0] > end[0] for start, end, _ in back), "the gradient goes back"
        assert place < back[0][1][0] < place + 1 and back[-1][0][0] > 7
