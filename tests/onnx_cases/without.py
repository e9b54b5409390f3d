"""Ops of ONNX that have no counterpart in Keras 2.2.4's backend and layers, or another meaning there."""

from __future__ import annotations

_REASONS = {
    "a function that the backend does not have": """
        Acos Acosh Asin Asinh Atan Atanh Cosh Det Erf Gelu IsInf Shrink Sinh Tan
    """,
    "work on bits": "BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor",
    "quantised numbers": """
        ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul
        QuantizeLinear
    """,
    "attention and its parts; the bodies of these functions run op by op": """
        Attention FlexAttention LinearAttention RotaryEmbedding SwiGLU TensorScatter
    """,
    "a convolution that carries its last steps along, or moves its taps": "CausalConvWithState DeformConv",
    "no such pooling, nor such a normalisation": "LRN LpPool MaxUnpool",
    "elements picked or put along an axis, by places or by conditions": """
        Compress GatherElements GatherND NonZero Scatter ScatterElements ScatterND TopK Trilu Unique
    """,
    "sums of products named by letters": "Einsum",
    "blocks moved between space and channels": "Col2Im DepthToSpace SpaceToDepth",
    "each sample is reversed up to a length of its own; K.reverse takes whole axes": "ReverseSequence",
    "pictures: decoding, sampling at places, boxes": """
        AffineGrid CenterCropPad GridSample ImageDecoder NonMaxSuppression RoiAlign
    """,
    "signals: windows and spectra": "BlackmanWindow DFT HammingWindow HannWindow MelWeightMatrix STFT",
    "random numbers": "Bernoulli RandomUniformLike",
    "graphs inside of nodes; K.switch, K.rnn and K.map_fn take functions": "If Loop Scan SequenceMap",
    "a gradient of a graph, with its own way to name inputs": "Gradient",
    "optimizers, with other first steps and other scales of what they gather": "Adagrad Adam Momentum",
    "lists, and values that may be missing": """
        ConcatFromSequence OptionalGetElement OptionalHasElement SequenceAt SequenceConstruct SequenceEmpty
        SequenceErase SequenceInsert SequenceLength SplitToSequence
    """,
    "strings": "RegexFullMatch StringConcat StringNormalizer StringSplit",
    "classical machine learning": """
        ArrayFeatureExtractor Binarizer LabelEncoder TfIdfVectorizer TreeEnsemble
    """,
}

WITHOUT: dict[str, str] = {op: reason for reason, ops in _REASONS.items() for op in ops.split()}
