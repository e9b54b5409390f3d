"""Beam search for label sequences whose alignment is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim
from symgraph.graph.leaves import as_tensor
from symgraph.graph.op import Op, Sample, parts
from symgraph.graph.ops.elementwise import cast
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TensorType, TupleType
from symgraph.kernels.ctc import ctc_beam_search_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row

_Beam = dict[tuple[int, ...], tuple[float, float]]


@dataclass(frozen=True)
class CtcBeamSearch(Op):
    """The most probable label sequences by logarithms of probabilities [N, T, C] and lengths [N].

    After each step the `width` most probable ones are kept, each with the sum over its alignments that went
    through the beam; the `best` first of the last step are the result. The last class is the blank.
    """

    width: int
    best: int

    def __str__(self) -> str:
        return f"ctc_beam_search[{self.width}]"

    def infer(self, *types: Any) -> TupleType:
        """Labels int64 [best, N, T], then -1; and logarithms of probabilities [N, best]."""
        logs, lengths = types
        if logs.dtype != "float64" or lengths.dtype != "int64":
            raise TypeError(f"{self}: expected float64 and int64, got {logs.dtype} and {lengths.dtype}")
        if logs.ndim != 3 or lengths.ndim != 1 or logs.shape[2] == 0:
            raise ValueError(f"{self}: expected [N, T, C], C > 0, and lengths [N], got {logs} and {lengths}")
        if all(isinstance(t.shape[0], int) for t in types) and logs.shape[0] != lengths.shape[0]:
            raise ValueError(f"{self}: expected a length for every sample, got {logs} and {lengths}")
        if not 1 <= self.best <= self.width:
            raise ValueError(f"{self}: expected 1 to {self.width} sequences to return, got {self.best}")
        return TupleType(
            (
                TensorType("int64", (self.best, logs.shape[0], logs.shape[1])),
                TensorType(logs.dtype, (logs.shape[0], self.best)),
            )
        )

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """A length for every sample."""
        if types[0].shape[0] != types[1].shape[0]:
            yield types[0].shape[0], types[1].shape[0]

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """None: which sequences are best is a choice."""
        return (None, None)

    def reference(self, *arrays: Any) -> Any:
        """The same with dictionaries of sequences."""
        logs, lengths = arrays
        samples, steps, _ = logs.shape
        paths = np.full((self.best, samples, steps), -1, np.int64)
        scores = np.full((samples, self.best), -np.inf)
        for n in range(samples):
            for place, (labels, total) in enumerate(self._searched(logs[n, : max(lengths[n], 0)])):
                paths[place, n, : len(labels)] = labels
                scores[n, place] = total
        return paths, scores

    def _searched(self, logs: np.ndarray) -> list[tuple[tuple[int, ...], float]]:
        beam: _Beam = {(): (0.0, -np.inf)}
        for row in logs:
            new = {labels: self._stayed(beam, labels, row) for labels in beam}
            for labels, (ends_blank, ends_label) in beam.items():
                for label in range(len(row) - 1):
                    longer = (*labels, label)
                    if longer not in beam:
                        same = bool(labels) and labels[-1] == label
                        total = ends_blank if same else np.logaddexp(ends_blank, ends_label)
                        new[longer] = (-np.inf, total + row[label])
            ranked = [item for item in new.items() if np.logaddexp(*item[1]) > -np.inf]
            beam = dict(sorted(ranked, key=lambda item: -np.logaddexp(*item[1]))[: self.width])
        return [(labels, np.logaddexp(*ends)) for labels, ends in beam.items()][: self.best]

    @staticmethod
    def _stayed(beam: _Beam, labels: tuple[int, ...], row: np.ndarray) -> tuple[float, float]:
        """A sequence that gets no longer; or whose last label is emitted after the sequence before it."""
        ends_blank, ends_label = beam[labels]
        blank = np.logaddexp(ends_blank, ends_label) + row[-1]
        if not labels:
            return blank, -np.inf
        again = ends_label + row[labels[-1]]
        if labels[:-1] in beam:
            before = beam[labels[:-1]]
            repeated = labels[-2:-1] == labels[-1:]
            start = before[0] if repeated else np.logaddexp(*before)
            again = np.logaddexp(again, start + row[labels[-1]])
        return blank, again

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """One sum for each label that may be added to each sequence of a full beam, in every step.

        What else a search does depends on the data.
        """
        samples, steps, classes = inputs[0]
        return samples * steps * self.width * (classes - 1)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """Samples are shared out."""
        logs, lengths = inputs
        paths, scores = outputs
        return ctc_beam_search_rows(
            logs, lengths, paths, scores, self.width, threads=threads, scratch=scratch
        )

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Narrow and wide beams, lengths from nothing to all, one label, no samples."""
        for shape, width, best in (
            ((3, 6, 4), 2, 2), ((2, 5, 3), 50, 7), ((1, 4, 2), 3, 1), ((4, 9, 6), 8, 3), ((0, 3, 3), 2, 1),
            ((2, 0, 3), 2, 2), ((1, 2, 1), 2, 2),
        ):  # fmt: skip
            logs = np.log(rng.dirichlet(np.ones(shape[2]), shape[:2]))
            lengths = rng.integers(0, shape[1] + 1, shape[0])
            yield Sample(cls(width, best), (logs, lengths), False, ((0, 0), (0, 1), (1, 0)))


def ctc_beam_search(logs: Any, lengths: Any, width: int, best: int) -> tuple[Tensor, Tensor]:
    """The `best` most probable label sequences, int64 [best, N, T], and logarithms of their probabilities."""
    logs = as_tensor(logs)
    op = CtcBeamSearch(int(width), int(best))
    paths, scores = parts(op(cast(logs, "float64"), cast(as_tensor(lengths), "int64")))
    return paths, cast(scores, logs.dtype)
