"""What runs: kernels behind C entry points, and the machine that calls them. Knows nothing of graphs."""
