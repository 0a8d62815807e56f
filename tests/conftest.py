"""What all tests share: how hypothesis draws its examples."""

from __future__ import annotations

import os

from hypothesis import settings

# Where nothing may be skipped, a run that was green stays green on the same commit; elsewhere each run draws anew and
# may find what no run before found. No deadline: a loaded machine is no defect.
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.register_profile("drawn", deadline=None)
settings.load_profile("repeatable" if os.environ.get("THREADDUMP_REQUIRE_TOOLS") else "drawn")
