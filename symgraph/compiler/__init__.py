"""From a graph to a callable: lowering, planning, running, observing."""
