"""All comparisons, in the order of the notebooks."""

from tests.benchmarks import adversaries, convolution, harness, network, perceptron, recurrence

COMPARISONS = {
    name: one
    for module in (perceptron, convolution, network, recurrence, adversaries)
    for name, one in harness.REGISTERED.items()
    if one.prepare.__module__ == module.__name__
}
