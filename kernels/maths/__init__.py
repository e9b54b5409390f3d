"""The element-wise functions and their formulas."""
