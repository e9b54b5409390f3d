"""The loss functions under the name that their module had in Keras 1."""

from symgraph.losses import *  # noqa: F403
