"""What kernels are built of: vectors, masks, loads and stores, register tiles, loops over strided axes."""
