"""The checks of the exercises: each says whether an answer is right and, where it is a known mistake, which one.

One module a notebook: `mlp`, `cnn`, `rnn`, `gan`; what they share is in `judge`.
"""
