"""Settings of the whole suite."""

from __future__ import annotations

import os

from hypothesis import settings

# A gate asks the same questions every time; at a developer's desk new examples are looked for in every run.
settings.register_profile("gate", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("gate")
