"""Rewrites of the graph between writing and planning. One pass a file; `pipeline.PIPELINE` is their order."""
