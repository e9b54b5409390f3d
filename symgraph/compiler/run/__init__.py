"""Programs in use: chosen by sizes, fed, run, looked at row by row, and told of as plain data."""
