"""Colours of boxes: by what a node or layer does."""

from __future__ import annotations

from typing import NamedTuple


class Paint(NamedTuple):
    """Fill and border of a box."""

    fill: str
    line: str


INK = "#1f2430"
MUTED = "#5b6475"
EDGE = "#8a94a6"
FAINT = "#d5dae3"
PAPER = "#ffffff"

KINDS: dict[str, Paint] = {
    "input": Paint("#eef1f5", "#9aa5b5"),
    "product": Paint("#dbe8fb", "#5b8bd0"),
    "element": Paint("#fdeccf", "#d49b3f"),
    "reduce": Paint("#e6e0f7", "#8a74c9"),
    "pool": Paint("#d8f0ec", "#46a597"),
    "loop": Paint("#fbdfe6", "#cf6483"),
    "move": Paint("#e9edd6", "#98a353"),
    "random": Paint("#f6e0f4", "#b86cb0"),
    "update": Paint("#e3f0dc", "#74a85b"),
    "variable": Paint("#f5f5f0", "#b4b09c"),
    "other": Paint("#f0f2f5", "#9aa5b5"),
}
"""Paint by kind."""

LEGEND = {
    "product": "products, convolutions",
    "element": "element by element",
    "reduce": "sums, softmax, statistics",
    "pool": "pooling",
    "loop": "loops, choices",
    "move": "copies, indexing",
    "random": "random numbers",
    "update": "updates",
    "input": "inputs, parts",
}
"""What kinds are called for people."""

_EXACT = {
    "reduce": "sum mean max min any all product moments siblings softmax cum_sum cum_prod top_k",
    "loop": "scan cond watch",
    "move": "reshape transpose gather slice concatenate place one_hot cast copy identity",
}
_STARTS = {
    "product": ("mat_mul", "matmul", "conv", "csr_dot"),
    "reduce": ("arg_", "log_softmax", "softmax", "fused_reduction", "reduced", "ctc"),
    "pool": ("max_pool", "average_pool"),
    "move": ("scatter", "take", "broadcast", "csr", "add_along"),
    "random": ("random",),
    "input": ("part", "constant", "dim", "arange", "eye", "undefined"),
}


def op_kind(kind: str, role: str = "op") -> str:
    """The kind of an op by its name: see `KINDS`."""
    if role != "op":
        return "variable" if role == "variable" else "input"
    for name, exact in _EXACT.items():
        if kind in exact.split():
            return name
    return next((name for name, starts in _STARTS.items() if kind.startswith(starts)), "element")


_LAYERS = (
    ("input", ("Input",)),
    ("loop", ("LSTM", "GRU", "RNN", "Bidirectional", "ConvLSTM", "CuDNN")),
    ("pool", ("Pooling",)),
    ("reduce", ("Normalization", "Softmax")),
    ("random", ("Dropout", "Noise")),
    ("product", ("Conv", "Dense", "Dot", "LocallyConnected", "TimeDistributed")),
    (
        "move",
        (
            "Flatten",
            "Reshape",
            "Permute",
            "RepeatVector",
            "Cropping",
            "UpSampling",
            "ZeroPadding",
            "Embedding",
            "Concatenate",
            "Masking",
        ),
    ),
    (
        "element",
        ("Activation", "LU", "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Lambda"),
    ),
)


def layer_kind(class_name: str) -> str:
    """The kind of a layer by its class: see `KINDS`."""
    for kind, parts in _LAYERS:
        if any(part in class_name for part in parts):
            return kind
    return "other"
