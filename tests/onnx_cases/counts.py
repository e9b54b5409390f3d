"""How many cases run: fewer of any op are an error, so nothing is left out unseen."""

from __future__ import annotations

_CASES = """
    Abs 13, Add 186, And 8, ArgMax 16, ArgMin 16, AveragePool 21, BatchNormalization 9, Cast 182,
    CastLike 138, Ceil 2, Celu 1, Clip 10, Concat 58, Constant 1, ConstantOfShape 3, Conv 42,
    ConvTranspose 14, Cos 8, CumProd 6, CumSum 9, Div 107, Dropout 8, Elu 5, Equal 59, Exp 49, Expand 98,
    EyeLike 1, Flatten 49, Floor 2, GRU 6, Gather 11, Gemm 13, GlobalAveragePool 2, GlobalMaxPool 2,
    Greater 6, GreaterOrEqual 3, GroupNormalization 2, HardSigmoid 4, HardSwish 1, Hardmax 7,
    Identity 123, InstanceNormalization 3, IsNaN 1, LSTM 5, LayerNormalization 19, LeakyRelu 5, Less 39,
    LessOrEqual 6, Log 32, LogSoftmax 44, LpNormalization 6, MatMul 100, Max 19, MaxPool 19, Mean 3,
    MeanVarianceNormalization 1, Min 12, Mish 1, Mod 8, Mul 218, Neg 8, NegativeLogLikelihoodLoss 52,
    Not 3, OneHot 3, Or 14, PRelu 8, Pad 20, Pow 13, RMSNormalization 19, RNN 6, Range 8, Reciprocal 40,
    ReduceL1 9, ReduceL2 9, ReduceLogSum 5, ReduceLogSumExp 8, ReduceMax 87, ReduceMean 71, ReduceMin 9,
    ReduceProd 9, ReduceSum 83, ReduceSumSquare 9, Relu 3, Reshape 192, Resize 1, Round 1, Selu 5,
    Shape 11, Sigmoid 11, Sign 2, Sin 2, Size 2, Slice 34, Softmax 103, SoftmaxCrossEntropyLoss 34,
    Softplus 4, Softsign 2, Split 27, Sqrt 74, Squeeze 5, Sub 111, Sum 6, Swish 3, Tanh 20,
    ThresholdedRelu 3, Tile 4, Transpose 148, Unsqueeze 109, Upsample 1, Where 109, Xor 8,
"""

#: For each op the cases that it runs in.
AT_LEAST: dict[str, int] = {
    op: int(count) for op, count in (entry.split() for entry in _CASES.split(",") if entry.strip())
}

#: All cases together, and the results that are compared: where Keras has several words for an op, each.
CASES, RESULTS = 1070, 2290
