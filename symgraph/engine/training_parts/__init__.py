"""Parts of training: the objective, compiled functions, loops over arrays and generators, trials."""
