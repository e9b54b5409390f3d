"""What layers are made of: nodes, names, shapes, demands of inputs, and what a failed call undoes."""
