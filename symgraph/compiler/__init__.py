"""From a graph to a callable: lowered, planned, run, looked at."""
