"""Models in files: layers and arguments of `compile` as configurations, weights in HDF5, YAML, tf.keras."""
