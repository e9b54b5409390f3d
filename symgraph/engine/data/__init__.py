"""Users' data: tables, rows that need not fit into memory, checks, sample weights, what functions get."""
