"""The checks of the exercises accept what is right, and name what is wrong."""

import functools
import inspect
import math

import numpy as np
import pytest
from scipy.signal import correlate

from helpers.exercises import cnn, gan, judge, mlp, rnn


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def verdict(check, answer, capsys):
    """What the check returns, and the one line that it prints."""
    result = check(answer)
    (line,) = capsys.readouterr().out.splitlines()
    return result, line


# --- answers to the exercises of notebook 01; the arguments of each builder make one mistake ---


def bias(reduce):
    return lambda y, z: (reduce(y), reduce(z))


def column(a):
    return a.mean(1, keepdims=True)


def relu(derivative=lambda Yin, Yout: Yout > 0, factor=1, memory=lambda Yin, Yout: Yout):
    def gradients(Wyx, Wzy, Xout, Zteach):
        Yin = Wyx @ Xout
        Yout = np.maximum(Yin, 0)
        delta = factor * (Wzy @ Yout - Zteach) / Xout.shape[1]
        return ((Wzy.T @ delta) * derivative(Yin, Yout)) @ Xout.T, delta @ memory(Yin, Yout).T

    return gradients


def derivative(o):
    return o * (1 - o)


def twice(o):
    return derivative(sigmoid(o))


def deep(z=derivative, y=derivative, h=derivative, factor=1, back_y="Wzy.T", back_h="Wyh.T", copied=False, pick=lambda *g: g):
    def gradients(Whx, Wyh, Wzy, Xout, Zteach):
        matrices = {"Wzy": Wzy, "Wzy.T": Wzy.T, "Wyh": Wyh, "Wyh.T": Wyh.T}
        H = sigmoid(Whx @ Xout)
        Y = sigmoid(Wyh @ H)
        Z = sigmoid(Wzy @ Y)
        dZ = factor * (Z - Zteach) / Xout.shape[1] * z(Z)
        dY = (matrices[back_y] @ dZ) * y(Y)
        dH = (matrices[back_h] @ dY) * h(Y if copied else H)
        return pick(dH @ Xout.T, dY @ H.T, dZ @ Y.T)

    return gradients


MLP = [
    (mlp.check_dtanh, lambda o: 1 - np.tanh(o) ** 2, "tanh is applied twice"),
    (mlp.check_dtanh, lambda o: o * (1 - o), "the sigmoid"),
    (mlp.check_dtanh, lambda o: o**2 - 1, "the sign is wrong"),
    (mlp.check_dtanh, lambda o: 1 - o, "The output is squared"),
    (mlp.check_dtanh, lambda o: (1 - o) ** 2, "this is (1 - o)²"),
    (mlp.check_dtanh, np.tanh, "this is tanh, not its derivative"),
    (mlp.check_dtanh, lambda o: 2 - 2 * o**2, "2 times what it should be"),
    (mlp.check_dtanh, lambda o: 1 + o**2, "for the output -0.995 the derivative should be 0.009866, you have 1.99"),
    (mlp.check_dtanh, lambda o: 1.0, "expected the derivative of shape (7,), got a single number"),
    (mlp.check_bias_gradients, bias(lambda a: a.sum(1, keepdims=True)), "7 times what it should be. E is a mean"),
    (mlp.check_bias_gradients, bias(lambda a: column(a) / 7), "0.143 times what it should be"),
    (mlp.check_bias_gradients, bias(lambda a: -column(a)), "the sign is wrong"),
    (mlp.check_bias_gradients, bias(lambda a: 2 * column(a)), "2 times what it should be"),
    (mlp.check_bias_gradients, bias(lambda a: a.mean(0, keepdims=True)), "the mean runs over the units"),
    (mlp.check_bias_gradients, bias(lambda a: a.sum(0, keepdims=True)), "the sum runs over the units"),
    (mlp.check_bias_gradients, bias(lambda a: a.mean(1)), "Keep a column"),
    (mlp.check_bias_gradients, bias(lambda a: a.sum(1)), "this sums, and loses an axis"),
    (mlp.check_bias_gradients, bias(lambda a: a.mean()), "all units get the same gradient"),
    (mlp.check_bias_gradients, bias(lambda a: a.sum(1, keepdims=True) / len(a)), "this divides by the units"),
    (mlp.check_bias_gradients, bias(lambda a: a.mean), "are parentheses missing after it?"),
    (mlp.check_bias_gradients, bias(lambda a: a), "each sample has its own gradient"),
    (mlp.check_bias_gradients, bias(lambda a: column(a) + 1), "dE_dbz[0, 0] should be"),
    (mlp.check_bias_gradients, lambda y, z: (column(z), column(y)), "the order is wrong. It is dE_dby, dE_dbz."),
    (mlp.check_bias_gradients, lambda y, z: (column(z) + 1, column(y)), "the order is wrong"),
    (mlp.check_bias_gradients, lambda y, z: (column(y), z.sum(1, keepdims=True)), "dE_dbz: 7 times what it should be"),
    (mlp.check_bias_gradients, lambda y, z: (column(y), column(z).T), "dE_dbz is transposed"),
    (mlp.check_relu_gradients, relu(lambda Yin, Yout: Yout >= 0), "the bug is still there"),
    (mlp.check_relu_gradients, relu(lambda Yin, Yout: Yout), "this multiplies by the output of ReLU"),
    (mlp.check_relu_gradients, relu(lambda Yin, Yout: Yin < 0), "the derivative of ReLU is inverted"),
    (mlp.check_relu_gradients, relu(memory=lambda Yin, Yout: Yin), "Wzy is multiplied by Yout"),
    (mlp.check_relu_gradients, relu(factor=6), "6 times what it should be"),
    (mlp.check_deep_gradients, deep(z=np.ones_like), "the derivative at Z is missing"),
    (mlp.check_deep_gradients, deep(y=np.ones_like), "the derivative at Y is missing"),
    (mlp.check_deep_gradients, deep(h=np.ones_like), "the derivative at H is missing"),
    (mlp.check_deep_gradients, deep(copied=True), "the derivative at H takes Yout"),
    (mlp.check_deep_gradients, deep(y=np.ones_like, h=np.ones_like), "the derivatives at both hidden layers are missing"),
    (mlp.check_deep_gradients, deep(np.ones_like, np.ones_like, np.ones_like), "the derivatives at all layers are missing"),
    (mlp.check_deep_gradients, deep(twice, twice, twice), "the sigmoid is applied twice"),
    (mlp.check_deep_gradients, deep(back_y="Wzy"), "Wzy isn't transposed"),
    (mlp.check_deep_gradients, deep(back_h="Wyh"), "Wyh isn't transposed"),
    (mlp.check_deep_gradients, deep(back_y="Wzy", back_h="Wyh"), "neither matrix is transposed"),
    (mlp.check_deep_gradients, deep(back_h="Wzy.T"), "from Y to H the delta goes through Wzy"),
    *((mlp.check_deep_gradients, deep(factor=f), f"{f:.3g} times what it should be") for f in (6, 1 / 6, 2, 0.5)),
    (mlp.check_deep_gradients, deep(factor=-1), "the sign is wrong"),
    (mlp.check_deep_gradients, deep(pick=lambda *g: g[::-1]), "the order is wrong. It is dE_dWhx, dE_dWyh, dE_dWzy."),
    # two mistakes, and one unknown: what is wrong nearest to the output is said
    (mlp.check_deep_gradients, deep(z=np.ones_like, h=np.ones_like, back_h="Wyh"), "dE_dWzy: the derivative at Z is missing"),
    (mlp.check_deep_gradients, deep(y=np.ones_like, h=np.ones_like, back_h="Wyh"), "dE_dWyh: the derivative at Y is missing"),
    (mlp.check_deep_gradients, deep(factor=3), "dE_dWzy["),
    (mlp.check_deep_gradients, deep(pick=lambda h, y, z: (None, None, z)), "dE_dWhx and dE_dWyh are still missing"),
    (mlp.check_bias_gradients, lambda y, z: (..., column(z)), "dE_dby is still missing"),
    (mlp.check_bias_gradients, lambda y, z: column(y), "expected 2 values, dE_dby, dE_dbz, got an array of shape (4, 1)"),
]


# --- notebook 02 ---


def size(valid=lambda m, k, s: (m - k) // s + 1, same=lambda m, k, s: -(-m // s)):
    return lambda m, k, s, padding: (valid if padding == "valid" else same)(m, k, s)


def convolution(turn=lambda kernel: kernel[::-1, ::-1]):
    def convolve(x, kernel):
        filters = np.moveaxis(turn(kernel), 3, 0)
        maps = [[correlate(image, each, "valid")[..., 0] for each in filters] for image in x]
        return np.moveaxis(maps, 1, 3)

    return convolve


def fold(kernel="k * f", bias="(b - m) * f + be", f="g / np.sqrt(v + e)"):
    """An answer from formulas, with k, b, g, be, m, v, e as the arguments and f as the factor."""

    def folded(k, b, g, be, m, v, e):
        names = {"k": k, "b": b, "g": g, "be": be, "m": m, "v": v, "e": e, "np": np}
        names["f"] = eval(f, names)
        return eval(kernel, names), eval(bias, names)

    return folded


CNN = [
    (cnn.check_output_size, size(lambda m, k, s: (m - k) // s), 'under "valid" one is missing'),
    (cnn.check_output_size, size(lambda m, k, s: (m - k + 1) // s), "Add it after dividing"),
    (cnn.check_output_size, size(lambda m, k, s: -(-(m - k) // s) + 1), 'under "valid" this rounds up'),
    (cnn.check_output_size, size(lambda m, k, s: round((m - k) / s) + 1), 'under "valid" this rounds to the nearest'),
    (cnn.check_output_size, size(lambda m, k, s: (m - k) / s + 1), 'under "valid" this doesn\'t round'),
    (cnn.check_output_size, size(lambda m, k, s: -(-m // s)), 'under "valid" this is the size of "same"'),
    (cnn.check_output_size, size(lambda m, k, s: m - k + 1, lambda m, k, s: m), "the stride is forgotten"),
    (cnn.check_output_size, size(same=lambda m, k, s: m // s), 'under "same" this rounds down'),
    (cnn.check_output_size, size(same=lambda m, k, s: m / s), 'under "same" this doesn\'t round'),
    (cnn.check_output_size, size(same=lambda m, k, s: (m - k) // s + 1), "the padding is forgotten"),
    (cnn.check_output_size, size(same=lambda m, k, s: (m - k + 2 * (k // 2)) // s + 1), "depends on the kernel"),
    (cnn.check_output_size, size(same=lambda m, k, s: None), "for your_size(28, 3, 1, 'same'): your function returns nothing"),
    (cnn.check_output_size, lambda *_: 28, "your_size(11, 2, 3, 'same') should be 4, you have 28"),
    (cnn.check_output_size, lambda *a: str(size()(*a)), "expected the size as numbers, got something of type str"),
    (cnn.check_output_size, lambda *a: np.array([size()(*a)]), "as one number, got an array of shape (1,)"),
    (cnn.check_output_size, lambda *a: (size()(*a),), "as one number, got a tuple of length 1"),
    (cnn.check_true_convolution, convolution(lambda k: k), "the kernel isn't flipped"),
    (cnn.check_true_convolution, convolution(lambda k: k[::-1]), "only the rows"),
    (cnn.check_true_convolution, convolution(lambda k: k[:, ::-1]), "only the columns"),
    (cnn.check_true_convolution, convolution(lambda k: k[::-1, ::-1, ::-1]), "the channels are flipped as well"),
    (cnn.check_true_convolution, convolution(lambda k: k[::-1, ::-1, :, ::-1]), "the filters are flipped as well"),
    (cnn.check_true_convolution, convolution(lambda k: k[::-1, ::-1, ::-1, ::-1]), "channels and filters are flipped as well"),
    (cnn.check_true_convolution, convolution(lambda k: k[:, :, ::-1, ::-1]), "Flip rows and columns instead"),
    (cnn.check_true_convolution, convolution(lambda k: 2 * k), "should be"),
    (cnn.check_true_convolution, convolution(lambda k: k[:2]), "of shape (2, 4, 6, 3), got an array of shape (2, 5, 6, 3)"),
    (cnn.check_true_convolution, convolution(lambda k: k[5]), "your code stopped with IndexError"),
    (cnn.check_fold, fold(f="g / (v + e)"), "the root is missing"),
    (cnn.check_fold, fold(f="g / np.sqrt(v)"), "epsilon is forgotten"),
    (cnn.check_fold, fold(f="g / (np.sqrt(v) + e)"), "It belongs under the root"),
    (cnn.check_fold, fold(f="g * np.sqrt(v + e)"), "the root multiplies"),
    (cnn.check_fold, fold(f="1 / np.sqrt(v + e)"), "gamma is forgotten."),
    (cnn.check_fold, fold("k / np.sqrt(v + e)"), "gamma is forgotten in the kernel"),
    (cnn.check_fold, fold(bias="(b - m) / np.sqrt(v + e) + be"), "gamma is forgotten in the bias"),
    (cnn.check_fold, fold("k"), "the kernel isn't scaled"),
    (cnn.check_fold, fold("k * f[:, None]"), "the input channels are scaled"),
    (cnn.check_fold, fold(bias="b"), "the bias hasn't changed"),
    (cnn.check_fold, fold(bias="be - m * f"), "the old bias is forgotten"),
    (cnn.check_fold, fold(bias="b - m * f + be"), "the old bias isn't scaled"),
    (cnn.check_fold, fold(bias="b * f + be"), "the mean is forgotten"),
    (cnn.check_fold, fold(bias="b * f - m + be"), "the mean isn't scaled"),
    (cnn.check_fold, fold(bias="(b + m) * f + be"), "the mean is added"),
    (cnn.check_fold, fold(bias="(b - m) * f"), "beta is forgotten"),
    (cnn.check_fold, fold(bias="(b - m + be) * f"), "beta is scaled"),
    (cnn.check_fold, fold("7 * k"), "the new kernel["),
]


# --- notebook 03 ---


def factor_of(x, y):
    equations = np.stack([x[:, 1:].ravel(), y[:, :-1].ravel()], axis=1)
    return np.linalg.lstsq(equations, y[:, 1:].ravel(), rcond=None)[0][1]


def half_life(x, y):
    return np.log(0.5) / np.log(factor_of(x, y))


def two_units(W=((1, 1),), U=((1, 0), (1, 1))):
    return lambda: (np.array(W), np.array(U), np.zeros(2))


def last_gradient(enter="last", back=lambda U, steps: U**steps, h_t=False):
    """The gradient whose delta enters at the last step or at every one, and is multiplied by back(U, steps) on its way."""

    def gradient(x, y_last, W, U, b):
        h = rnn.recur(x, W, U, b)
        before = np.pad(h, ((0, 0), (1, 0)))[:, :-1]
        delta = 2 * (h - y_last[:, None]) / len(x)
        e = np.zeros_like(h)
        for s in range(x.shape[1]) if enter == "every" else [x.shape[1] - 1]:
            for t in range(s + 1):
                e[:, t] += back(U, s - t) * delta[:, s]
        return (e * x).sum(), (e * (h if h_t else before)).sum(), e.sum()

    return gradient


def changed(change):
    """The right gradient of the last step, changed."""
    return lambda *a: change(np.array(last_gradient()(*a)))


RNN = [
    (rnn.check_average, lambda: (0.9, 0.1, 0), "W and U are exchanged"),
    (rnn.check_average, lambda: (0.1, 1, 0), "the old average is kept whole"),
    (rnn.check_average, lambda: (1, 0.9, 0), "settles at 10; an average settles at 1"),
    (rnn.check_average, lambda: (0.1, 0.9, 0.5), "an average of zeros is 0"),
    (rnn.check_average, lambda: (1, 1, 0), "nothing is ever forgotten"),
    (rnn.check_average, lambda: (0.2, 0.8, 0), "yours moves 0.2 of the way"),
    (rnn.check_average, lambda: (0.1, 0.9), "expected 3 values, W, U, b, got a tuple of length 2"),
    (rnn.check_average, lambda: 0.1, "expected 3 values, W, U, b, got a single number"),
    (rnn.check_average, lambda: ("a", "b", "c"), "expected W as numbers, got something of type str"),
    (rnn.check_half_life, factor_of, "this is U"),
    (rnn.check_half_life, lambda x, y: 1 - factor_of(x, y), "this is W"),
    (rnn.check_half_life, lambda x, y: -half_life(x, y), "the sign is wrong"),
    (rnn.check_half_life, lambda x, y: -1 / np.log(factor_of(x, y)), "this is the time constant"),
    (rnn.check_half_life, lambda x, y: 1 / (1 - factor_of(x, y)), "this is 1 / (1 - U)"),
    (rnn.check_half_life, lambda x, y: 1 / half_life(x, y), "the quotient is upside down"),
    (rnn.check_half_life, lambda x, y: round(half_life(x, y)), "this is rounded"),
    (rnn.check_half_life, lambda x, y: math.ceil(half_life(x, y) - 1e-9), "this is rounded"),
    (rnn.check_half_life, lambda x, y: int(half_life(x, y) + 1e-9), "this is rounded"),
    (rnn.check_half_life, lambda x, y: 3.0, "for U = 0.98 the half-life should be 34.31, you have 3"),
    (rnn.check_half_life, lambda x, y: np.array([6.58]), "the half-life as one number, got an array of shape (1,)"),
    (rnn.check_distance, two_units(U=((1, 1), (0, 1))), "U is transposed, or the order is (speed, distance)"),
    (rnn.check_distance, two_units(W=((0, 1),)), "the distance is one step late"),
    (rnn.check_distance, two_units(W=((1, 0),), U=((1, 1), (0, 1))), "one step late, and the order is"),
    (rnn.check_distance, two_units(U=((1, 0), (0, 1))), "both units hold the speed"),
    (rnn.check_distance, two_units(U=((0.5, 0), (1, 1))), "accelerations the distance should be"),
    (rnn.check_distance, two_units(W=(1, 1)), "expected W of shape (1, 2), got (2,)"),
    (rnn.check_last_gradient, last_gradient("every"), "every step is compared with y_last"),
    (rnn.check_last_gradient, lambda *a: np.array(last_gradient("every")(*a)) / 7, "every step is compared with y_last"),
    (rnn.check_last_gradient, last_gradient(back=lambda U, steps: steps == 0), "the delta stops at the last step"),
    (rnn.check_last_gradient, last_gradient(back=lambda U, steps: 1), "the delta isn't multiplied by U"),
    (rnn.check_last_gradient, last_gradient(back=lambda U, steps: U ** max(steps - 1, 0)), "a power of U is missing"),
    (rnn.check_last_gradient, last_gradient(back=lambda U, steps: U ** (steps - 1)), "A power of U is missing"),
    (rnn.check_last_gradient, last_gradient(back=lambda U, steps: U ** (steps + 1)), "A power of U too many"),
    (rnn.check_last_gradient, last_gradient("every", lambda U, steps: steps == 0), "every step is compared with y_last"),
    (rnn.check_last_gradient, last_gradient(h_t=True), "dL/dU has h_t"),
    (rnn.check_last_gradient, lambda *a: (0.1, *last_gradient()(*a)), "without the loss"),
    (rnn.check_last_gradient, lambda *a: (0.1, last_gradient()(*a)), "without the loss"),
    (rnn.check_last_gradient, changed(lambda g: -g), "the sign is wrong"),
    (rnn.check_last_gradient, changed(lambda g: g / 2), "a factor of two"),
    (rnn.check_last_gradient, changed(lambda g: 2 * g), "counts once"),
    (rnn.check_last_gradient, changed(lambda g: 6 * g), "divide by the number of series"),
    (rnn.check_last_gradient, changed(lambda g: 3 * g), "and mind the two of the square"),
    (rnn.check_last_gradient, changed(lambda g: g / 6), "Divide by the number of series once"),
    (rnn.check_last_gradient, changed(lambda g: g / 7), "only one of them is in the loss"),
    (rnn.check_last_gradient, changed(lambda g: g / 14), "and the two of the square is missing"),
    (rnn.check_last_gradient, changed(lambda g: g[[1, 0, 2]]), "the order is wrong. It is dL/dW, dL/dU, dL/db."),
    (rnn.check_last_gradient, changed(lambda g: g + [0, 0, 1]), "dL/db should be"),
    (rnn.check_last_gradient, changed(lambda g: g[:, None]), "expected dL/db as one number, got an array of shape (1,)"),
]


# --- notebook 04 ---


def softplus(a):
    return np.logaddexp(0, a)


def average(values, momentum, divide=lambda m, n: 1 - m**n, start=0.0, momentum_at=lambda m, t: m):
    mean = start
    for t, value in enumerate(values):
        m = momentum_at(momentum, t)
        mean = m * mean + (1 - m) * value
    return mean / divide(momentum, len(values))


def rising(first):
    """The notebook's rule for the momentum, which is below m at first."""
    return lambda v, m: average(v, m, lambda m, n: 1, momentum_at=lambda m, t: min(m, (1 + first + t) / (10 + first + t)))


def divided_at_each_step(values, m):
    mean = 0.0
    for n, value in enumerate(values, start=1):
        mean = (m * mean + (1 - m) * value) / (1 - m**n)
    return mean


def redrawn(n, limit, rng, times=99):
    noise = rng.normal(size=(n, 100))
    for _ in range(times):
        far = np.abs(noise) > limit
        noise[far] = rng.normal(size=far.sum())
    return noise


def tail_as(value):
    """Normal noise with `value(noise, limit)` in the place of what is too large."""

    def noise(n, limit, rng):
        z = rng.normal(size=(n, 100))
        return np.where(np.abs(z) > limit, value(z, limit), z)

    return noise


GAN = [
    (gan.check_generator_loss, lambda a: softplus(a).mean(), "this is -log(1 - D)"),
    (gan.check_generator_loss, lambda a: -softplus(a).mean(), "this is log(1 - D)"),
    (gan.check_generator_loss, lambda a: -softplus(-a).mean(), "the sign is wrong"),
    (gan.check_generator_loss, lambda a: softplus(-a).sum(), "Take the mean, not the sum"),
    (gan.check_generator_loss, lambda a: softplus(-a).sum() / len(a), "Divide by the number of logits"),
    (gan.check_generator_loss, lambda a: sigmoid(a).mean(), "without a logarithm"),
    (gan.check_generator_loss, lambda a: softplus(-a), "expected the loss as one number, got an array of shape (2, 2)"),
    (gan.check_generator_loss, lambda a: -np.log(a).mean(), "as if they were probabilities"),
    (gan.check_generator_loss, lambda a: softplus(-a).mean() + 1, "the loss should be 0.8357, you have 1.836"),
    (gan.check_generator_loss, lambda a: -np.log(sigmoid(a)).mean(), "should be 500, you have inf"),
    (gan.check_generator_loss, lambda a: np.mean([math.log(1 + math.exp(-x)) for x in a.flat]), "1000 your code stopped with"),
    (gan.check_running_average, lambda v, m: average(v, m, lambda m, n: 1), "the cold start is still in it"),
    (gan.check_running_average, lambda v, m: average(v, m, lambda m, n: 1 - m ** (n + 1)), "the power is one too many"),
    (gan.check_running_average, lambda v, m: average(v, m, lambda m, n: 1 - m ** (n - 1)), "the power is one too few"),
    (gan.check_running_average, lambda v, m: average(v, m, lambda m, n: m**n), "this divides by the power"),
    (gan.check_running_average, lambda v, m: average(v, m, lambda m, n: 1 - m), "this divides by 1 - m"),
    (gan.check_running_average, divided_at_each_step, "this divides at each step"),
    (gan.check_running_average, lambda v, m: average(v[::-1], m), "taken backwards"),
    (gan.check_running_average, lambda v, m: average(v, 1 - m), "m and 1 - m are exchanged"),
    (gan.check_running_average, lambda v, m: average(v[1:], m, lambda m, n: 1, v[0]), "this starts at the first value"),
    (gan.check_running_average, lambda v, m: np.mean(v), "this is the plain mean"),
    (gan.check_running_average, rising(0), "the notebook's other way to forget the start"),
    (gan.check_running_average, rising(1), "the notebook's other way to forget the start"),
    (gan.check_running_average, lambda v, m: average(v, 0.9), "right for a momentum of 0.9 alone"),
    (gan.check_running_average, lambda v, m: average(np.ravel(v), m), "should give the array of their averages"),
    (gan.check_running_average, lambda v, m: float(average(v, m)), "but with a list of arrays your code stopped"),
    (gan.check_running_average, lambda v, m: average(v, m) + 1, "the average should be 2.304, you have 3.304"),
    (gan.check_truncated_noise, lambda n, limit, rng: rng.normal(size=(n, 100)), "as in normal noise: none was drawn again"),
    (gan.check_truncated_noise, lambda *a: redrawn(*a, times=1), "repeat until none is"),
    (gan.check_truncated_noise, lambda n, limit, rng: rng.uniform(-1, 1, (n, 100)), "of the numbers are beyond the limit of 0.7"),
    (gan.check_truncated_noise, tail_as(lambda z, limit: limit * np.sign(z)), "they were clipped"),
    (gan.check_truncated_noise, tail_as(lambda z, limit: 0), "large ones were replaced"),
    (gan.check_truncated_noise, lambda n, limit, rng: rng.uniform(-limit, limit, (n, 100)), "is it scaled or uniform"),
    (gan.check_truncated_noise, lambda n, limit, rng: redrawn(n, min(limit, 1.5), rng), "but not for 2"),
    (gan.check_truncated_noise, lambda n, limit, rng: redrawn(n, limit if limit < 1 else 2.1, rng), "but not for 2"),
    (gan.check_truncated_noise, lambda *a: redrawn(*a) + np.nan, "not finite"),
    (gan.check_truncated_noise, lambda *a: redrawn(*a).T, "expected noise of shape (400, 100), got (100, 400)"),
    (gan.check_truncated_noise, lambda n, *a: np.tile(redrawn(1, *a), (n, 1)), "the same numbers occur again and again"),
    (gan.check_truncated_noise, lambda n, limit, rng: redrawn(n, limit, np.random.default_rng()), "of the same seed"),
    (gan.check_truncated_noise, lambda n, limit, rng: redrawn(n, limit, np.random.default_rng(0)), "of another seed"),
]


class Linear:
    """A generator that can be inverted: noise (n, 100) times a matrix. It makes nothing of the last fifty numbers."""

    def __init__(self):
        self.matrix = np.random.default_rng(0).normal(size=(100, 784)) * (np.arange(100) < 50)[:, None]
        self.inverse = np.linalg.pinv(self.matrix)
        self.weights = self.trainable_weights = [self.matrix]

    def __call__(self, noise, training):
        return (np.asarray(noise) @ self.matrix).reshape(-1, 28, 28, 1)

    def get_weights(self):
        return [self.matrix.copy()]

    def set_weights(self, new):
        self.matrix[:] = new[0]


LINEAR = Linear()
check_inversion = functools.partial(gan.check_inversion, generator=LINEAR)


def invert(images, generator):
    return images.reshape(-1, 784) @ generator.inverse


def cheat(images, generator):
    noise = invert(images, generator)
    generator.matrix *= 2
    return noise / 2


def spoil_and_stop(images, generator):
    generator.matrix *= 2
    raise ZeroDivisionError("division by zero")


INVERSION = [
    (check_inversion, lambda images, generator: images, "you returned images"),
    (check_inversion, cheat, "the generator has changed"),
    (check_inversion, spoil_and_stop, "your code stopped with ZeroDivisionError"),
    (check_inversion, lambda images, generator: np.zeros((8, 100)), "the mean squared difference is"),
    (check_inversion, lambda *a: invert(*a) + np.inf, "not finite"),
    (check_inversion, lambda *a: invert(*a)[:5], "expected noise of shape (8, 100), got (5, 100)"),
    (check_inversion, lambda *a: (invert(*a), 0.1), "expected the noise alone, got two values"),
    (check_inversion, lambda *a: [[1, 2], [3], [4, 5]], "expected the noise as numbers, got a list of length 3"),
    (check_inversion, lambda *a: invert(*a) + 100 * (np.arange(100) >= 50), "it draws the images, but isn't noise"),
]

RIGHT = {
    mlp.check_dtanh: lambda o: 1 - o**2,
    mlp.check_bias_gradients: bias(column),
    mlp.check_relu_gradients: relu(),
    mlp.check_deep_gradients: deep(),
    cnn.check_output_size: size(),
    cnn.check_true_convolution: convolution(),
    cnn.check_fold: fold(),
    rnn.check_average: lambda: (0.1, 0.9, 0),
    rnn.check_half_life: half_life,
    rnn.check_distance: two_units(),
    rnn.check_last_gradient: last_gradient(),
    gan.check_generator_loss: lambda a: softplus(-a).mean(),
    gan.check_running_average: average,
    gan.check_truncated_noise: redrawn,
    check_inversion: invert,
}


def name_of(check):
    return getattr(check, "func", check).__name__


each_check = pytest.mark.parametrize("check", RIGHT, ids=name_of)


@pytest.mark.parametrize(
    ("check", "answer", "message"),
    [pytest.param(*row, id=f"{name_of(row[0])}: {row[2][:40]}") for row in [*MLP, *CNN, *RNN, *GAN, *INVERSION]],
)
def test_a_known_mistake_is_named(check, answer, message, capsys):
    weights = LINEAR.matrix.copy()
    result, line = verdict(check, answer, capsys)
    assert result is False and line.startswith("Not yet: ") and message in line
    assert np.array_equal(LINEAR.matrix, weights), "the generator wasn't put back"


@each_check
def test_a_right_answer_passes_and_its_praise_tells_no_number(check, capsys):
    result, line = verdict(check, RIGHT[check], capsys)
    assert result is True and line.startswith("Right. ")
    assert check is check_inversion or not any(character.isdigit() for character in line), line


def test_a_check_is_called_as_its_signature_says():
    assert inspect.signature(mlp.check_dtanh).return_annotation == "bool | None"
    assert mlp.check_dtanh(your_dtanh=lambda o: 1 - o**2) is True


def converted(value, convert):
    return type(value)(converted(each, convert) for each in value) if isinstance(value, (tuple, list)) else convert(value)


def single(value):
    return np.float32(value) if isinstance(value, (float, np.floating, np.ndarray)) else value


def listed(value):
    return value.tolist() if hasattr(value, "tolist") else value


@each_check
def test_a_right_answer_may_be_float32_a_list_or_a_tensor(check, capsys):
    right = RIGHT[check]
    assert verdict(check, lambda *given: converted(right(*converted(given, single)), single), capsys)[0] is True
    assert verdict(check, lambda *given: converted(right(*given), listed), capsys)[0] is True
    tensor = pytest.importorskip("keras").ops.convert_to_tensor
    assert verdict(check, lambda *given: converted(right(*given), tensor), capsys)[0] is True


def untouched(*arguments): ...


def with_a_docstring(*arguments):
    """What was asked."""
    return None


@each_check
def test_a_stub_is_not_written_yet_and_a_forgotten_return_is_told(check, capsys):
    stubs = [untouched, with_a_docstring, lambda *_: ..., functools.wraps(untouched)(lambda *given: untouched(*given))]
    if check in (mlp.check_bias_gradients, mlp.check_deep_gradients, cnn.check_fold, rnn.check_average):  # they have parts
        stubs += [lambda *_: (None, None), lambda *_: [..., ...]]
    for stub in stubs:
        assert verdict(check, stub, capsys) == (None, "Not written yet.")

    def forgotten(*arguments):
        result = RIGHT[check](*arguments)  # noqa: F841

    def printing(*arguments):
        RIGHT[check](*arguments)
        print(end="")

    for answer, hint in ((forgotten, "Is its `return` missing?"), (printing, "It prints: `return` the result.")):
        result, line = verdict(check, answer, capsys)
        assert result is False and line.endswith(f"your function returns nothing. {hint}")


@each_check
def test_whatever_an_answer_does_the_check_says_so_in_one_line(check, capsys):
    result, line = verdict(check, lambda *_: 1 / 0, capsys)
    assert result is False and line.endswith("your code stopped with ZeroDivisionError: division by zero")
    result, line = verdict(check, 7, capsys)
    assert result is False and "takes the function itself" in line
    nonsense = ["seven", {"a": 1}, {1, 2, 3}, object(), 1j, [], np.mean, np.nan, np.zeros(99), [[1], [2, 3]], np.array("a")]
    for value in nonsense:
        result, line = verdict(check, lambda *_: value, capsys)  # noqa: B023
        assert result is False and line.startswith("Not yet: "), value


@each_check
def test_an_argument_changed_in_place_is_told_and_spoils_nothing(check, capsys):
    def answer(*arguments):
        result = RIGHT[check](*arguments)
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                argument[...] = 0
            elif isinstance(argument, list):
                argument.append(argument[0])
        return result

    result, line = verdict(check, answer, capsys)
    if check in (cnn.check_output_size, rnn.check_average, rnn.check_distance, gan.check_truncated_noise):  # no arrays are given
        assert result is True
    else:
        assert result is False and "the result is right, but your code changes its argument number" in line
    assert verdict(check, RIGHT[check], capsys)[0] is True


def test_moved_batch_statistics_are_told_from_trained_weights(capsys):
    keras = pytest.importorskip("keras")
    layers = keras.layers
    to_images = layers.Reshape((28, 28, 1))
    generator = keras.Sequential([layers.Input((100,)), layers.Dense(784), layers.BatchNormalization(), to_images])
    before = [np.array(weights) for weights in generator.get_weights()]

    def with_training(images, generator):
        generator(np.ones((8, 100), "float32"), training=True)
        return np.zeros((8, 100))

    def trained(images, generator):
        generator.trainable_weights[0].assign_add(np.ones((100, 784), "float32"))
        return np.zeros((8, 100))

    for answer, message in ((with_training, "call the generator with training=False"), (trained, "the generator has changed")):
        result, line = verdict(functools.partial(gan.check_inversion, generator=generator), answer, capsys)
        assert result is False and message in line
        assert all(map(np.array_equal, before, generator.get_weights()))


def test_central_differences_measure_the_gradient_and_restore_the_arrays():
    a, b = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([0.5])
    by_a, by_b = judge.central_differences(lambda: float((a**3).sum() * b[0]), [a, b])
    assert np.allclose(by_a, 1.5 * a**2, rtol=1e-8) and np.allclose(by_b, (a**3).sum(), rtol=1e-8)
    assert a.tolist() == [[1, 2], [3, -1]] and b.tolist() == [0.5]
