"""What training is made of: the objective, compiled functions, methods on batches, trials."""
