"""What runs kernels: compiler and cache, tables of rows, the machine that walks them, and its threads."""
