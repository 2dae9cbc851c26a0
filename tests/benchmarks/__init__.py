"""What the series claims of speed and of accuracy, measured beside its peers: `python -m tests.benchmarks`."""
