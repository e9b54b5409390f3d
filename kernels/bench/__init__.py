"""One kernel alone, on given shapes: how long it takes, beside what the machine can do at most.

A function for each family makes a `Problem` from shapes (`problem` makes one by name), `measure` times it.

>>> from symgraph.kernels import bench
>>> layer = bench.conv2d((32, 56, 56, 64), (3, 3, 64, 64))
>>> tiles, direct = bench.measure(layer, against=("winograd", "direct"), threads=1)
>>> direct.seconds / tiles.seconds
2.4
"""

from symgraph.kernels.bench.arrays import elementwise, matmul, reduction, softmax
from symgraph.kernels.bench.by_name import KERNELS, problem
from symgraph.kernels.bench.figures import Figures, KernelCall
from symgraph.kernels.bench.measure import measure
from symgraph.kernels.bench.pictures import (
    average_pool2d,
    average_pool2d_gradient,
    conv2d,
    conv2d_input_gradient,
    conv2d_weight_gradient,
    depthwise_conv2d,
    max_pool2d,
    max_pool2d_gradient,
)
from symgraph.kernels.bench.problem import Problem

__all__ = [
    "KERNELS",
    "Figures",
    "KernelCall",
    "Problem",
    "average_pool2d",
    "average_pool2d_gradient",
    "conv2d",
    "conv2d_input_gradient",
    "conv2d_weight_gradient",
    "depthwise_conv2d",
    "elementwise",
    "matmul",
    "max_pool2d",
    "max_pool2d_gradient",
    "measure",
    "problem",
    "reduction",
    "softmax",
]
