"""Weights of models: their order, their places in files, what other versions stored, and their limits."""
