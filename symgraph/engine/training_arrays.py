"""The loops over arrays that Keras has in a module of this name."""

from symgraph.engine.training_parts.loops import fit_loop, predict_loop, test_loop

__all__ = ["fit_loop", "predict_loop", "test_loop"]
