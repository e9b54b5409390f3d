# Losses, metrics and schedules: `python objects.py tf_keras` prints those of the package tf_keras.
import json
import sys
from functools import partial as P

import numpy as np

if sys.argv[1:]:
    import tf_keras as keras
else:
    from tensorflow import keras
L, M = keras.losses, keras.metrics
K = keras.backend
r = np.random.RandomState(3)
p = r.uniform(0.02, .98, (6, 3)).astype('float32'); t = (r.rand(6, 3) > .5).astype('float32')
q = (p / p.sum(1, keepdims=True)).astype('float32'); one = np.eye(3, dtype='float32')[[0,2,1,1,0,2]]
z = r.normal(size=(6,3)).astype('float32'); lab = np.array([[0],[2],[1],[1],[0],[2]], 'float32')
w = np.array([1,2,0,.5,3,1], 'float32')
def ev(x):
    v = x.numpy() if sys.argv[1:] else K.eval(x)
    return [round(float(a), 6) for a in np.ravel(v)]
out = {}
def loss(name, fn, a, b):
    for red in ("sum_over_batch_size", "sum", "none"):
        o = fn(reduction=red)
        out[f"loss {name} {red}"] = ev(o(K.constant(a), K.constant(b)))
        out[f"loss {name} {red} weighted"] = ev(o(K.constant(a), K.constant(b), sample_weight=K.constant(w)))
for n in "MeanSquaredError MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredLogarithmicError KLDivergence Poisson LogCosh Huber Hinge SquaredHinge".split():
    loss(n, getattr(L, n), t, p)
loss("CategoricalHinge", L.CategoricalHinge, one, z)
loss("Huber 0.3", P(L.Huber, delta=.3), t, z)
loss("BinaryCrossentropy", L.BinaryCrossentropy, t, p)
loss("BinaryCrossentropy logits", P(L.BinaryCrossentropy, from_logits=True), t, z)
loss("BinaryCrossentropy smooth", P(L.BinaryCrossentropy, label_smoothing=.2), t, p)
loss("CategoricalCrossentropy", L.CategoricalCrossentropy, one, q)
loss("CategoricalCrossentropy logits", P(L.CategoricalCrossentropy, from_logits=True, label_smoothing=.1), one, z)
loss("SparseCategoricalCrossentropy", L.SparseCategoricalCrossentropy, lab, q)
loss("SparseCategoricalCrossentropy logits", P(L.SparseCategoricalCrossentropy, from_logits=True), lab, z)
loss("CosineSimilarity", L.CosineSimilarity, t, z)


def metric(name, fn, a, b):
    for part, ws in (("", None), (" weighted", w)):
        m = fn()
        for rows in (slice(0, 4), slice(4, 6)):
            m.update_state(a[rows], b[rows], **({} if ws is None else {"sample_weight": ws[rows]}))
        out[f"metric {name}{part}"] = ev(m.result())


for n in "BinaryAccuracy MeanSquaredError MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredLogarithmicError RootMeanSquaredError KLDivergence Poisson LogCoshError Hinge SquaredHinge BinaryCrossentropy TruePositives TrueNegatives FalsePositives FalseNegatives Precision Recall AUC CosineSimilarity".split():
    metric(n, getattr(M, n), t, p)
metric("Accuracy", M.Accuracy, lab, np.roll(lab, 1, 0) * 1)
metric("BinaryAccuracy .3", P(M.BinaryAccuracy, threshold=.3), t, p)
metric("CategoricalAccuracy", M.CategoricalAccuracy, one, q)
metric("CategoricalCrossentropy", M.CategoricalCrossentropy, one, q)
metric("CategoricalHinge", M.CategoricalHinge, one, q)
metric("SparseCategoricalAccuracy", M.SparseCategoricalAccuracy, lab, q)
metric("SparseCategoricalCrossentropy", M.SparseCategoricalCrossentropy, lab, q)
metric("TopKCategoricalAccuracy", P(M.TopKCategoricalAccuracy, k=2), one, q)
metric("SparseTopKCategoricalAccuracy", P(M.SparseTopKCategoricalAccuracy, k=2), lab, q)
metric("Precision thresholds", P(M.Precision, thresholds=[.2, .5, .9]), t, p)
metric("Recall class", P(M.Recall, class_id=1), t, p)
for curve in ("ROC", "PR"):
    for how in ("interpolation", "minoring", "majoring"):
        metric(f"AUC {curve} {how}", P(M.AUC, num_thresholds=7, curve=curve, summation_method=how), t, p)
metric("AUC thresholds", P(M.AUC, thresholds=[.3, .6]), t, p)
metric("MeanIoU", P(M.MeanIoU, num_classes=3), lab[:, 0], np.array([0,1,1,2,0,2], 'float32'))
metric("MeanRelativeError", P(M.MeanRelativeError, normalizer=[1., 2., 0.]), t, p)
S = keras.optimizers.schedules
for name, s in (("exp", S.ExponentialDecay(.1, 4, .5)), ("stairs", S.ExponentialDecay(.1, 4, .5, staircase=True)), ("pieces", S.PiecewiseConstantDecay([2, 6], [.3, .2, .1])), ("poly", S.PolynomialDecay(.1, 5, .01, power=2.)), ("cycle", S.PolynomialDecay(.1, 5, .01, cycle=True)), ("inverse", S.InverseTimeDecay(.1, 4, .5)), ("inverse stairs", S.InverseTimeDecay(.1, 4, .5, staircase=True))):
    out["schedule " + name] = [ev(s(K.constant(float(k))))[0] for k in (0, 1, 2, 3, 4, 5, 6, 7, 11)]
print(json.dumps(out))
