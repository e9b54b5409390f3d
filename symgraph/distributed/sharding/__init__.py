"""Dividing a graph among ranks: each computes the rows of some samples, and what mixes samples is exchanged.

The graph says which axis of a value counts samples: the one whose size is a multiple of the batch size. Rules
(`rules/`) tell for each op what it makes of divided values: rows again, a part of a sum, or the same value
on each rank. Sums over samples are exchanged where something other than a sum reads them, so losses,
gradients and metrics are those of the whole batch whatever they are made of; and what no rule knows is
computed whole by each rank, from the gathered rows of all.
"""

from symgraph.distributed.sharding.divide import Divided, divide

__all__ = ["Divided", "divide"]
