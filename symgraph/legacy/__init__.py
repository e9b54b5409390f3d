"""What Keras 2 kept of Keras 1: layers that were given up, and the translation of old arguments."""
