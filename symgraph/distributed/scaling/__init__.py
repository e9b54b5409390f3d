"""What training on more nodes would bring: a model of the cost of a step. See docs/scaling.md."""
