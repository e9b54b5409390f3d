"""Programs in use: chosen by sizes, fed, run, observed row by row, and described as plain data."""
