"""Users' data: tables, rows that need not fit into memory, sample weights, and what functions are fed."""
