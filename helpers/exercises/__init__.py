"""The checks of the exercises: each says whether an answer is right and, where it is a known mistake, which one.

One module a notebook: `mlp`, `cnn`, `rnn`, `gan`; what they share is in `judge`.
"""

from helpers.exercises.cnn import check_fold, check_output_size, check_true_convolution
from helpers.exercises.gan import check_generator_loss, check_inversion, check_running_average, check_truncated_noise
from helpers.exercises.mlp import check_bias_gradients, check_deep_gradients, check_dtanh, check_relu_gradients
from helpers.exercises.rnn import check_average, check_distance, check_half_life, check_last_gradient

__all__ = [
    "check_fold",
    "check_output_size",
    "check_true_convolution",
    "check_generator_loss",
    "check_inversion",
    "check_running_average",
    "check_truncated_noise",
    "check_bias_gradients",
    "check_deep_gradients",
    "check_dtanh",
    "check_relu_gradients",
    "check_average",
    "check_distance",
    "check_half_life",
    "check_last_gradient",
]
