"""The parts of convolutions: geometry, the choice of an algorithm, Winograd, depthwise, gradients."""
