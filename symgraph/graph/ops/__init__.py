"""The ops, one family a file. Each class holds all that is known about its op (see `symgraph.graph.op`)."""
