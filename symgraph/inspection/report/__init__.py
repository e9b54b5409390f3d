"""The report: all that is known of a compiled Function, on one self-contained page."""
