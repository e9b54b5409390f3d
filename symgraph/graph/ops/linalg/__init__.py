"""Linear algebra: what LAPACK computes, through numpy, and what is built of it."""
