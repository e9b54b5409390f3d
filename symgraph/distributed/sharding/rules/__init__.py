"""For each family of ops: what it makes of divided values."""

from symgraph.distributed.sharding.rules.table import RULES

__all__ = ["RULES"]
