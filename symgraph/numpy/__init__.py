"""NumPy's functions on symbolic tensors, by the names of the Python array API standard 2024.12.

The standard's chapters are the files of this folder; NumPy's other names and functions lie beside them. All
take tensors, arrays, numbers, and (nested) lists of these, and give tensors. Whose size only data know
(`nonzero`, `unique_values`, masks) is refused by name.
"""

# ruff: noqa: F403 - every file says in __all__ what belongs to the namespace.
from __future__ import annotations

from symgraph.numpy import (
    constants,
    creation,
    dtypes,
    einstein,
    elementwise,
    fft,
    indexing,
    info,
    linalg,
    manipulation,
    names,
    searching,
    sets,
    sorting,
    staples,
    statistical,
    utility,
)
from symgraph.numpy.constants import *
from symgraph.numpy.creation import *
from symgraph.numpy.dtypes import *
from symgraph.numpy.einstein import *
from symgraph.numpy.elementwise import *
from symgraph.numpy.indexing import *
from symgraph.numpy.info import *
from symgraph.numpy.linalg import (
    diagonal,
    matmul,
    matrix_transpose,
    outer,
    tensordot,
    trace,
    vecdot,
)
from symgraph.numpy.manipulation import *
from symgraph.numpy.names import *
from symgraph.numpy.searching import *
from symgraph.numpy.sets import *
from symgraph.numpy.sorting import *
from symgraph.numpy.staples import *
from symgraph.numpy.statistical import *
from symgraph.numpy.utility import *

__array_api_version__ = "2024.12"

__all__ = [  # noqa: PLE0604
    "__array_api_version__", "diagonal", "fft", "linalg", "matmul", "matrix_transpose", "outer", "tensordot",
    "trace", "vecdot", *constants.__all__, *creation.__all__, *dtypes.__all__, *einstein.__all__,
    *elementwise.__all__, *indexing.__all__, *info.__all__, *manipulation.__all__, *names.__all__,
    *searching.__all__, *sets.__all__, *sorting.__all__, *staples.__all__, *statistical.__all__,
    *utility.__all__,
]  # fmt: skip
