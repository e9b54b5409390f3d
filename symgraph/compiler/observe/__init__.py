"""Looking at what runs: values, times, errors, and what a Function shows of itself."""
