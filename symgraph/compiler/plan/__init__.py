"""The planner: from a lowered graph and the sizes of a call to a Program's rows and memory."""
