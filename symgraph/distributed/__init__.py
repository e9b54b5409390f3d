"""Training of one script by several processes, which exchange gradients by MPI: see docs/distributed.md."""

from symgraph.distributed.world import World, is_distributed, set_world, world

__all__ = ["World", "is_distributed", "set_world", "world"]
