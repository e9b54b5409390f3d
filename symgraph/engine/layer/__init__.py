"""Parts of layers: nodes, names, shapes, input specs, and the rollback of failed calls."""
