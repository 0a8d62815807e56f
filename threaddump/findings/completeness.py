"""The input itself: what is missing from it."""

from __future__ import annotations

from collections.abc import Iterable

from threaddump.findings.facts import Facts
from threaddump.report import Evidence, Finding


def truncated_input(facts: Facts) -> Iterable[Finding]:
    """Threads or frames are missing: counts and shares are lower bounds."""
    dump = facts.dump
    if not dump.truncated:
        return
    missing, again = "others are missing", "take the dump again and save it whole"
    if dump.format == "faulthandler":
        again = "faulthandler prints 100 threads and 100 frames at most: take py-spy dump --pid PID instead"
    if dump.format == "hotspot-sa" and any(thread.truncated for thread in dump.threads):
        missing, again = "their Java frames are not", "take it again without --mixed: jhsdb jstack --locks --pid PID"
    yield Finding(
        id="truncated-input",
        severity="medium",
        title=f"the dump is not complete: {len(dump.threads)} threads are here, {missing}",
        detail=f"{'; '.join(dump.truncated)}. Counts are lower bounds, and shares may be wrong.",
        threads=0,
        thread_names=[],
        evidence=[Evidence(None, dump.end_line or dump.line, dump.truncated[0])],
        advice=[again],
        recovery=[],
    )
