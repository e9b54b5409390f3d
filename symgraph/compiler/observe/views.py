"""What a Function shows of itself to people: drawings, the report, its face in notebooks."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Collection, Hashable, Mapping
from html import escape
from pathlib import Path

import networkx

from symgraph.compiler.observe.profile import Profile
from symgraph.compiler.run.collect import kernel_sources, pass_facts
from symgraph.compiler.run.named_graph import Compilation
from symgraph.compiler.run.variant import Variant
from symgraph.inspection.draw.dot import rendered
from symgraph.inspection.draw.outline import Outline, sketch
from symgraph.inspection.export.graphs import to_networkx
from symgraph.inspection.facts.function import Facts
from symgraph.inspection.facts.hardware import hardware_facts
from symgraph.inspection.facts.times import FunctionTimes
from symgraph.inspection.report.html_file import write_report
from symgraph.inspection.report.material import Material, Numbers
from symgraph.inspection.text.listing import listing
from symgraph.kernels.ceilings import measure_ceilings
from symgraph.kernels.run.source import KernelSource

_SLOW_LOWERING = 10.0  # seconds: the passes of such graphs are not run once more for their differences


class FunctionViews:
    """Drawings and reports: a part of `Function`."""

    name: str
    _variants: OrderedDict[Hashable, Variant]

    @property
    @abstractmethod
    def compilations(self) -> list[Compilation]:
        """See `Function`."""

    @abstractmethod
    def facts(self) -> Facts:
        """See `Function`."""

    @abstractmethod
    def _latest(self) -> Variant:
        """See `Function`."""

    @property
    def graph(self) -> networkx.DiGraph:
        """The rewritten graph as a networkx graph.

        A node for each of `facts().nodes`, by id, with everything that is known of it as attributes.
        """
        return to_networkx(self.facts())

    def draw(
        self, path: str | os.PathLike[str], expand: bool | Collection[str] = False, rankdir: str = "TB"
    ) -> None:
        """Draw the rewritten graph: one box a layer, repeats once.

        Parameters
        ----------
        path : path
            Ends in ``.svg``, ``.png`` (needs Pillow) or ``.dot``.
        expand : bool or names of layers
            Layers whose nodes are drawn one by one; True for all.
        rankdir : str
            Direction of the arrows: TB (downwards), BT, LR or RL.

        Raises
        ------
        ValueError
            Another ending or direction, or no such layer.
        ImportError
            The file is a PNG, and Pillow is missing.
        """
        form = Path(path).suffix.removeprefix(".").lower()
        Path(path).write_bytes(rendered(sketch(Outline(self.facts()), expand), form, rankdir))

    def report(
        self, path: str | os.PathLike[str], profile: Profile | FunctionTimes | None = None, kernels: int = 24
    ) -> None:
        """Write all that is known of this Function to one HTML page, which needs no network.

        Parameters
        ----------
        path : path
            Ends in ``.html``.
        profile : Profile, optional
            Times of this Function's calls; the Program that took most of them is the one reported. Without it
            the page is about the latest Program, and has no times.
        kernels : int
            The code (Python, LLVM IR, assembly) of so many kernels is given, of those that take most time.
            Writing it out takes up to a second each.

        Raises
        ------
        ValueError
            Another ending, or the profile has no call of this Function.
        """
        variant, times = self._profiled(profile)
        facts = times.facts if times is not None else self.facts()
        lowered = variant.lowered
        detailed = lowered.seconds < _SLOW_LOWERING
        threads = facts.threads or 1
        material = Material(
            facts,
            times,
            pass_facts(lowered) if detailed else facts.passes,
            self.compilations,
            {},
            hardware_facts(),
            [measure_ceilings(n) for n in sorted({1, threads})],
        )
        names = Numbers(material).kernels[:kernels]
        write_report(path, material.with_sources(_sources(variant, names)))

    def _profiled(self, profile: Profile | FunctionTimes | None) -> tuple[Variant, FunctionTimes | None]:
        """The graph to report, and its times in a profile."""
        if profile is None:
            return self._latest(), None
        measured = [profile] if isinstance(profile, FunctionTimes) else profile.functions
        # Another Function may have the same name; no two lowerings take the same time.
        own = {variant.lowered.seconds: variant for variant in self._variants.values()}
        for times in measured:
            if times.facts.name == self.name and times.facts.lower_seconds in own:
                return own[times.facts.lower_seconds], times
        known = list(dict.fromkeys(t.facts.name for t in measured))
        other = " (another one of this name)" if self.name in known else ""
        calls = ", ".join(known) or "nothing"
        raise ValueError(
            f"report: expected a profile with calls of {self.name!r}, got calls of {calls}{other}"
        )

    def _repr_svg_(self) -> str:
        """The graph in notebooks."""
        return rendered(sketch(Outline(self.facts())), "svg").decode()

    def _repr_html_(self) -> str:
        """The graph in notebooks, and the listing below it; no script."""
        text = escape(listing(self.facts()))
        return f"<div>{self._repr_svg_()}<details><summary>listing</summary><pre>{text}</pre></details></div>"


def _sources(variant: Variant, names: Collection[str]) -> Mapping[str, KernelSource]:
    """The code of kernels by name."""
    wanted = set(names)
    found: dict[str, KernelSource] = {}
    for program in variant.programs:
        rows = [i for i, row in enumerate(program.rows) if row.kernel.name in wanted]
        for source in kernel_sources(variant.lowered, program, rows):
            found.setdefault(source.name, source)
    return found
