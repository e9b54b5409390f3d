"""Views of compiled graphs: plain data, text, drawings, files for others, comparisons, the report."""
