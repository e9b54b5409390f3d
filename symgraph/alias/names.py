"""Which module of symgraph a name of Keras stands for."""

from __future__ import annotations

PACKAGES = ("keras", "tensorflow", "keras_preprocessing")
"""Top names that imports ask for."""

# tf.keras under the names that it has had. Those inside TensorFlow's own code come last.
TF_KERAS_ROOTS = ("tensorflow.keras", "tensorflow.compat.v1.keras", "tensorflow.compat.v2.keras")
TF_INTERNAL_ROOTS = ("tensorflow.python.keras", "tensorflow.contrib.keras")

# Modules that Keras has, or had, and symgraph keeps in another place.
_PLACES = {
    "backend.cntk_backend": "backend",
    "backend.common": "backend",
    "backend.load_backend": "backend",
    "backend.tensorflow_backend": "backend",
    "backend.theano_backend": "backend",
    "utils.visualize_util": "utils.vis_utils",
    "utils.visualize_utils": "utils.vis_utils",
    "utils.tf_utils": "backend",
}


def root_of(name: str) -> tuple[str, str] | None:
    """The package of Keras that a module is in, and its place in there; None where it is in none.

    `tensorflow.keras.layers` gives ``("tensorflow.keras", "layers")``.
    """
    for root in ("keras", *TF_KERAS_ROOTS, *TF_INTERNAL_ROOTS):
        if name == root or name.startswith(f"{root}."):
            return root, name[len(root) + 1 :]
    return None


def place_of(inner: str) -> str:
    """Where symgraph has a module that Keras calls `inner`: the same place, but for those that moved."""
    return _PLACES.get(inner, inner)
