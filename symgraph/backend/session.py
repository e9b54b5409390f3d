"""Sessions: graphs run in the way of TensorFlow 1, `K.get_session().run(tensors, feed_dict)`.

Variables have their values from the moment they are made and belong to no session: all sessions see the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from symgraph import globals as state
from symgraph.backend.core import NewValue
from symgraph.backend.functions import function, phase_function, symbolic_learning_phase
from symgraph.compiler.function import Function
from symgraph.graph.leaves import FirstValue
from symgraph.graph.tensor import Tensor, topological
from symgraph.kernels.run.threads import most_threads, set_num_threads

__all__ = ["Session", "get_session", "set_session"]

_KEPT = 32  # compiled Functions of a session


class Action:
    """Something that a session does when it is among what is fetched; its result is None.

    Parameters
    ----------
    name : str
    act : callable, optional
        Without one nothing happens.
    """

    def __init__(self, name: str, act: Callable[[], Any] | None = None) -> None:
        self.name = name
        self._act = act

    def run(self, feed_dict: Any = None, session: Any = None) -> None:
        """Do it."""
        if self._act is not None:
            self._act()

    def __repr__(self) -> str:
        return f"<Action {self.name!r}>"


def start_variables_anew() -> None:
    """Give all variables that were written to since they were made a first value again.

    Raises
    ------
    ValueError
        If one of them does not know its first value; none is changed then.
    """
    written = [variable for variable in state.noted_variables() if variable.storage.version]
    unknown = next((variable for variable in written if variable.first_value is None), None)
    if unknown is not None:
        FirstValue(unknown).run()
    for variable in written:
        FirstValue(variable).run()


class Session:
    """Runs parts of graphs.

    Parameters
    ----------
    target, graph : object, optional
        Passed over: there is one process, and tensors know their graph.
    config : object, optional
        Its `intra_op_parallelism_threads`, if there is such an attribute and it is not 0, is how many threads
        all Functions run on from now on. There is nothing else to configure.
    """

    def __init__(self, target: str = "", graph: Any = None, config: Any = None) -> None:
        self.graph = graph
        self._functions: OrderedDict[Any, Function] = OrderedDict()
        threads = getattr(config, "intra_op_parallelism_threads", 0)
        if threads:
            set_num_threads(min(int(threads), most_threads()))

    def run(
        self,
        fetches: Any,
        feed_dict: Mapping[Any, Any] | None = None,
        options: Any = None,
        run_metadata: Any = None,
    ) -> Any:
        """Compute tensors.

        Parameters
        ----------
        fetches : tensor, or list, tuple or dict of such, at any depth
            An update (`K.update`) stores its value. What starts variables anew gives None.
        feed_dict : dict of tensor or name to value, optional
            The learning phase is 0 unless it is fed, as in Keras on TensorFlow.
        options, run_metadata : object, optional
            What `K.function` takes.

        Returns
        -------
        ndarray, or a structure of them like `fetches`

        Raises
        ------
        TypeError
            If something else is to be fetched.
        ValueError
            If a placeholder is not fed, or a name is unknown.
        """
        wanted: list[Any] = []
        acts: list[Any] = []
        _collect(fetches, wanted, acts)
        for act in acts:
            act.run()
        if not wanted:
            return _rebuilt(fetches, iter(()))
        feed = _by_tensor(feed_dict or {}, wanted)
        call = self._function(wanted, list(feed), options, run_metadata)
        return _rebuilt(fetches, iter(call(list(feed.values()))))

    def _function(self, wanted: list[Any], fed: list[Tensor], options: Any, run_metadata: Any) -> Function:
        if run_metadata is not None:
            return _compiled(wanted, fed, options, run_metadata)
        key = (*map(id, wanted), None, *map(id, fed))
        if key not in self._functions:
            # It holds the tensors, so their ids stay theirs as long as it is kept.
            self._functions[key] = _compiled(wanted, fed)
        self._functions.move_to_end(key)
        while len(self._functions) > _KEPT:
            self._functions.popitem(last=False)
        return self._functions[key]

    def close(self) -> None:
        """Let go of what was compiled. Variables keep their values."""
        self._functions.clear()

    @contextmanager
    def as_default(self) -> Iterator[Self]:
        """Inside, `K.get_session` returns this session."""
        before = state.session()
        state.set_session(self)
        try:
            yield self
        finally:
            state.set_session(before)

    def __enter__(self) -> Self:
        self._before = state.session()
        state.set_session(self)
        return self

    def __exit__(self, *error: object) -> None:
        state.set_session(self._before)
        self.close()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"Session.{name}: this is no session of TensorFlow; it has run, close, as_default and graph"
        )


def get_session() -> Any:
    """The session that `set_session` set, or one that is made now."""
    if state.session() is None:
        state.set_session(Session())
    return state.session()


def set_session(session: Any) -> None:
    """Set the session that `get_session` returns.

    Raises
    ------
    TypeError
        If `session` is none of `K.Session` (under `symgraph run` also `tf.Session`).
    """
    if not isinstance(session, Session):
        raise TypeError(
            "set_session: expected a session of symgraph (K.Session, or tf.Session under `symgraph run`), "
            f"got {session!r}; a session of TensorFlow knows nothing of these graphs"
        )
    state.set_session(session)


def _compiled(
    wanted: list[Any], fed: list[Tensor], options: Any = None, run_metadata: Any = None
) -> Function:
    if any(tensor is symbolic_learning_phase() for tensor in fed):
        return function(fed, wanted, name="session", options=options, run_metadata=run_metadata)
    return phase_function(0, fed, wanted, (), "session", options, run_metadata)


def _collect(fetches: Any, wanted: list[Any], acts: list[Any]) -> None:
    """Sort all that is to be fetched into tensors and acts."""
    if isinstance(fetches, Tensor | NewValue):
        wanted.append(fetches)
    elif isinstance(fetches, Action | FirstValue):
        acts.append(fetches)
    elif isinstance(fetches, Mapping):
        for part in fetches.values():
            _collect(part, wanted, acts)
    elif isinstance(fetches, list | tuple):
        for part in fetches:
            _collect(part, wanted, acts)
    else:
        hint = "; tensors have no names to be found by" if isinstance(fetches, str) else ""
        raise TypeError(f"Session.run: expected tensors to fetch, got {fetches!r}{hint}")


def _rebuilt(fetches: Any, values: Iterator[Any]) -> Any:
    """`fetches` with the values in the places of tensors, and None in those of acts."""
    if isinstance(fetches, Tensor | NewValue):
        return next(values)
    if isinstance(fetches, Action | FirstValue):
        return None
    if isinstance(fetches, Mapping):
        return {name: _rebuilt(part, values) for name, part in fetches.items()}
    parts = [_rebuilt(part, values) for part in fetches]
    if isinstance(fetches, tuple):
        return type(fetches)(*parts) if hasattr(fetches, "_fields") else tuple(parts)
    return parts


def _by_tensor(feed: Mapping[Any, Any], wanted: Sequence[Any]) -> dict[Tensor, Any]:
    """The feed with tensors for names."""
    if all(isinstance(key, Tensor) for key in feed):
        return dict(feed)
    roots = [item.value if isinstance(item, NewValue) else item for item in wanted]
    known = {node.name: node for node in topological(roots) if node.name}
    found = {}
    for key, value in feed.items():
        node = key if isinstance(key, Tensor) else known.get(str(key).removesuffix(":0"), known.get(str(key)))
        if node is None:
            raise ValueError(
                f"Session.run: feed_dict: no node is called {key!r}; there are "
                f"{', '.join(sorted(known)) or 'no names'}"
            )
        found[node] = value
    return found
