"""Speed, as ratios: engines in processes of their own, taking turns in one run."""
