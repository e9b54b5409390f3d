"""Training of one script by several processes, which exchange gradients by MPI: see docs/distributed.md."""

from symgraph.distributed.shards import ShardedSequence, makes_shards, share
from symgraph.distributed.world import World, is_distributed, set_world, world

__all__ = [
    "ShardedSequence",
    "World",
    "is_distributed",
    "makes_shards",
    "set_world",
    "share",
    "world",
]
