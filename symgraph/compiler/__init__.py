"""From a rewritten graph to a callable: schedule, plan, Program, Function."""
