"""What all tests share: how hypothesis draws its examples."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

# Where nothing may be skipped, a run that was green stays green on the same commit; elsewhere each run draws anew and
# may find what no run before found. No deadline: a loaded machine is no defect.
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.register_profile("drawn", deadline=None)
settings.load_profile("repeatable" if os.environ.get("THREADDUMP_REQUIRE_TOOLS") else "drawn")

# A shell starts what it puts into the background with Ctrl-C ignored, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
