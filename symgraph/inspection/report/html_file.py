"""Reports as files."""

from __future__ import annotations

import os
from pathlib import Path

from symgraph.inspection.report.material import Material
from symgraph.inspection.report.page import page


def write_report(path: str | os.PathLike[str], material: Material) -> None:
    """Write the page to `path`.

    Raises
    ------
    ValueError
        The name does not end in ``.html`` or ``.htm``.
    """
    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"report: expected a path that ends in .html, got {os.fspath(path)!r}")
    target.write_bytes(page(material).encode())
