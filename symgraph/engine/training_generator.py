"""The loops over generators that Keras has in a module of this name."""

from symgraph.engine.training_parts.generators import evaluate_generator, fit_generator, predict_generator

__all__ = ["evaluate_generator", "fit_generator", "predict_generator"]
