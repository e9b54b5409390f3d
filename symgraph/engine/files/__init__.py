"""Models in files: configurations in JSON and YAML, weights in HDF5, and tf.keras' words."""
