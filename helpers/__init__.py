"""What the notebooks share: data (`data`), figures (`plotting`, `diagrams`), refusals (`checks`), pictures, exercises.

The networks are not here: each lives in the notebook that explains it. Importing this package imports neither Keras nor
TensorFlow; it only sets what both read from the environment while they are imported.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"  # the notebooks are written for it, whatever the reader uses elsewhere
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow logs errors only
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster convolutions also where TensorFlow leaves it off (no AVX-512 VNNI)
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # and takes GPU memory as it needs it
