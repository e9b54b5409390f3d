"""What training is made of: the objective, compiled functions, loops over arrays and generators, trials."""
