"""Models as estimators of scikit-learn, which need not be installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType
from typing import Any, ClassVar, Self

import numpy as np

from symgraph.engine.sequential import Sequential
from symgraph.utils.generic_utils import has_arg, to_list
from symgraph.utils.np_utils import to_categorical

__all__ = ["BaseWrapper", "KerasClassifier", "KerasRegressor"]


class BaseWrapper:
    """What both estimators have in common.

    Parameters
    ----------
    build_fn : callable, optional
        Returns a compiled model. None: the subclass's own `__call__` does.
    **sk_params
        Arguments of `build_fn`, and of `fit`, `predict`, `predict_classes` and `evaluate`, which may be given
        to those methods as well. All are open to scikit-learn's searches.

    Raises
    ------
    ValueError
        For a parameter that none of these functions has.
    """

    _kind: ClassVar[str]
    model: Any

    def __init__(self, build_fn: Callable[..., Any] | None = None, **sk_params: Any) -> None:
        self.build_fn = build_fn
        self.sk_params = sk_params
        self.check_params(sk_params)

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks estimators for since version 1.6."""
        tags = importlib.import_module("sklearn.utils")
        return tags.Tags(
            estimator_type=self._kind,
            target_tags=tags.TargetTags(required=True),
            classifier_tags=tags.ClassifierTags() if self._kind == "classifier" else None,
            regressor_tags=tags.RegressorTags() if self._kind == "regressor" else None,
        )

    def _builder(self) -> tuple[Any, Any]:
        """What makes the model, and the function whose parameters are its arguments."""
        if self.build_fn is None:
            own = getattr(self, "__call__", None)  # noqa: B004 - a subclass's method, not whether it is callable
            if own is None:
                raise ValueError(f"{type(self).__name__}: give a `build_fn`, or a subclass a `__call__`")
            return own, own
        made: Any = self.build_fn
        return made, made if isinstance(made, FunctionType | MethodType) else made.__call__

    def check_params(self, params: Mapping[str, Any]) -> None:
        """ValueError for names that are no argument of `build_fn`, `fit`, `predict` or `evaluate`."""
        methods = (Sequential.fit, Sequential.predict, Sequential.predict_classes, Sequential.evaluate)
        known = [*methods, self._builder()[1]]
        for name in params:
            if name != "nb_epoch" and not any(has_arg(function, name) for function in known):
                raise ValueError(f"{name} is not a legal parameter")

    def get_params(self, **params: Any) -> dict[str, Any]:
        """All parameters by name; `params` (scikit-learn's `deep`) change nothing."""
        return {**self.sk_params, "build_fn": self.build_fn}

    def set_params(self, **params: Any) -> Self:
        """Change parameters. ValueError for unknown ones."""
        self.check_params(params)
        self.sk_params.update(params)
        return self

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Make a model and train it.

        Parameters
        ----------
        x : array, shape (samples, features)
        y : array, shape (samples,) or (samples, outputs)
        **kwargs
            Arguments of `Sequential.fit`.

        Returns
        -------
        History
        """
        build, described_by = self._builder()
        self.model = build(**self.filter_sk_params(described_by))
        return self.model.fit(x, self._targets(y), **self.filter_sk_params(Sequential.fit, kwargs))

    def _targets(self, y: Any) -> Any:
        """Class numbers one-hot encoded, if the loss needs that."""
        loss = getattr(self.model.loss, "__name__", self.model.loss)
        return to_categorical(y) if loss == "categorical_crossentropy" and np.ndim(y) != 2 else y

    def filter_sk_params(
        self, fn: Callable[..., Any], override: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Those parameters that `fn` has, and those of `override`, which win."""
        return {name: v for name, v in self.sk_params.items() if has_arg(fn, name)} | dict(override or {})


class KerasClassifier(BaseWrapper):
    """A model as a classifier; parameters as of `BaseWrapper`.

    Attributes
    ----------
    classes_ : ndarray
        The classes that `fit` saw, in order.
    """

    _kind = "classifier"

    def fit(self, x: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> Any:
        """Make a model and train it; `y` has classes of any kind, or a column for each. Returns a History.

        Raises
        ------
        ValueError
            If `y` has more than two axes.
        """
        y = np.array(y)
        if y.ndim == 2 and y.shape[1] > 1:
            self.classes_ = np.arange(y.shape[1])
        elif y.ndim in (1, 2):
            self.classes_ = np.unique(y)
            y = np.searchsorted(self.classes_, y)
        else:
            raise ValueError(f"Invalid shape for y: {y.shape}")
        self.n_classes_ = len(self.classes_)
        if sample_weight is not None:
            kwargs["sample_weight"] = sample_weight
        return super().fit(x, y, **kwargs)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The class of each sample; `kwargs` as of `Sequential.predict_classes`."""
        scores = self.model.predict(x, **self.filter_sk_params(Sequential.predict_classes, kwargs))
        best = scores.argmax(axis=-1) if scores.shape[-1] > 1 else (scores > 0.5).astype("int32")
        found: np.ndarray = self.classes_[best]
        return found

    def predict_proba(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The probabilities (samples, classes), also for a model with one output."""
        found: np.ndarray = self.model.predict(x, **self.filter_sk_params(Sequential.predict_proba, kwargs))
        return np.hstack([1 - found, found]) if found.shape[1] == 1 else found

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The share of right classes. ValueError if the model was compiled without 'accuracy'."""
        y = self._targets(np.searchsorted(self.classes_, y))
        values = self.model.evaluate(x, y, **self.filter_sk_params(Sequential.evaluate, kwargs))
        for name, value in zip(self.model.metrics_names, to_list(values), strict=True):
            if name in ("acc", "accuracy"):
                return float(value)
        raise ValueError(
            'The model is not configured to compute accuracy. You should pass `metrics=["accuracy"]` to the '
            "`model.compile()` method."
        )


class KerasRegressor(BaseWrapper):
    """A model as a regressor; parameters as of `BaseWrapper`."""

    _kind = "regressor"

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The outputs, without axes of size 1."""
        return np.squeeze(self.model.predict(x, **self.filter_sk_params(Sequential.predict, kwargs)))

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """Minus the loss: the larger the better."""
        values = self.model.evaluate(x, y, **self.filter_sk_params(Sequential.evaluate, kwargs))
        return -float(to_list(values)[0])
