"""Callbacks: what `fit` calls at the beginning and the end of training, epochs and batches."""

from symgraph.callbacks.base import Callback, CallbackList, LambdaCallback
from symgraph.callbacks.loggers import BaseLogger, CSVLogger, History, ProgbarLogger, TerminateOnNaN
from symgraph.callbacks.monitors import EarlyStopping, ModelCheckpoint
from symgraph.callbacks.remote import RemoteMonitor
from symgraph.callbacks.schedules import LearningRateScheduler, LearningRateWarmup, ReduceLROnPlateau
from symgraph.callbacks.tensorboard import TensorBoard

__all__ = [
    "BaseLogger",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "LearningRateWarmup",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "TensorBoard",
    "TerminateOnNaN",
]
