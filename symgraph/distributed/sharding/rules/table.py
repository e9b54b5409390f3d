"""Which rule is for which op. One for a class is asked before one for its bases."""

from __future__ import annotations

from collections.abc import Mapping

from symgraph.distributed.sharding.rules import bodies, draws, pointwise, products, reductions, shapes
from symgraph.distributed.sharding.sharder import Rule
from symgraph.graph.op import Op
from symgraph.graph.ops.barrier import Identity
from symgraph.graph.ops.collective import OwnNormal
from symgraph.graph.ops.cond import Cond
from symgraph.graph.ops.create import OneHot
from symgraph.graph.ops.cumulative import CumProd, CumSum
from symgraph.graph.ops.elementwise import Elementwise
from symgraph.graph.ops.index import AddAlongAxis, Gather, ScatterAdd, TakeAlongAxis
from symgraph.graph.ops.matmul import MatMul
from symgraph.graph.ops.moments import Moments
from symgraph.graph.ops.nn import (
    LogSoftmax,
    Softmax,
    SoftmaxCrossEntropy,
    SoftmaxCrossEntropyGradient,
)
from symgraph.graph.ops.random import RANDOM
from symgraph.graph.ops.reduce import ArgMax, ArgMin, Reduction
from symgraph.graph.ops.scan import Scan
from symgraph.graph.ops.shape import BroadcastTo, Concatenate, Reshape, Transpose
from symgraph.graph.ops.slicing import Place, Slice
from symgraph.graph.ops.sort import TopK

RULES: Mapping[type[Op], Rule] = {
    AddAlongAxis: products.picking_along,
    ArgMax: reductions.arg_reduction,
    ArgMin: reductions.arg_reduction,
    BroadcastTo: shapes.broadcasting,
    Concatenate: shapes.joining,
    Cond: bodies.choice,
    CumProd: reductions.along_axis,
    CumSum: reductions.along_axis,
    Elementwise: pointwise.elementwise,
    Gather: products.gathering,
    Identity: pointwise.unchanged,
    LogSoftmax: reductions.of_lines,
    MatMul: products.matmul,
    Moments: reductions.moments,
    OneHot: shapes.one_hot,
    Op: products.by_cut,
    OwnNormal: pointwise.own_normal,
    Place: shapes.placing,
    Reduction: reductions.reduction,
    Reshape: shapes.reshaping,
    Scan: bodies.loop,
    ScatterAdd: products.scattering,
    Slice: shapes.slicing,
    Softmax: reductions.of_lines,
    SoftmaxCrossEntropy: reductions.of_lines,
    SoftmaxCrossEntropyGradient: reductions.of_lines,
    TakeAlongAxis: products.picking_along,
    TopK: reductions.of_lines,
    Transpose: shapes.transposition,
    **dict.fromkeys(RANDOM, draws.draw),
}
