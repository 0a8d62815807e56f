"""Ids stay: users name them in their own rules, and a rule that vanishes takes its examples with it.

``stable-ids.txt`` lists each finding, catalog entry, library profile, pool of thread names, request frame and line of a
wait. What is new is added to it; what is gone from it was removed on purpose, and CHANGELOG.md says so.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from threaddump import catalog, explain
from threaddump.catalog import Catalog

LIST = Path(__file__).parent / "stable-ids.txt"
UPDATE = "UPDATE_GOLDENS=1 python -m pytest tests/test_stable_ids.py"
FAMILIES = ("jvm", "python", "go", "dotnet", "ruby")


def ids() -> list[str]:
    """All ids, as they stand in the list."""
    return [f"finding {id}" for id in sorted(explain.finding_texts())] + [
        f"{family} {id}" for family in FAMILIES for id in sorted(_of_family(family))
    ]


def _of_family(family: str) -> Iterator[str]:
    data = catalog.data(family)
    yield from (f"entry {entry['id']}" for entry in data["entries"])
    yield from (f"library {key}" for key in catalog.libraries(family))
    yield from (f"threads {pool['id']}" for pool in data.get("pool", ()))
    yield from (f"request-frame {glob}" for glob in data.get("request_frames", ()))
    yield from (f"proxy {glob}" for glob in data.get("proxies", ()))
    for row in data.get("waits", ()):
        yield f"wait {row['file']}:{row['function']} {row['python']}"


def test_no_id_is_gone_and_each_new_one_is_listed() -> None:
    now = ids()
    if os.environ.get("UPDATE_GOLDENS"):
        LIST.write_text("\n".join(now) + "\n", "utf-8")
    listed = LIST.read_text("utf-8").splitlines()
    lines = list(difflib.unified_diff(listed, now, "stable-ids.txt", "the catalog", lineterm="", n=0))
    if lines:
        pytest.fail("\n".join([*lines, f"read the difference, then: {UPDATE}"]), pytrace=False)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_pool_of_thread_names_wins_for_its_own(family: str) -> None:
    """The first pool that matches counts: one that is always behind another would never be seen."""
    data = catalog.data(family)
    names = Catalog(data).thread_names
    lost = []
    for pool in data.get("pool", ()):
        made = [glob.replace("*", "7") for glob in pool["match"]]
        if not any(names.find(name)[0].id == pool["id"] for name in made):
            lost.append(pool["id"])
    assert lost == []


@pytest.mark.parametrize("family", FAMILIES)
def test_each_line_of_a_wait_says_whether_it_is_timed(family: str) -> None:
    data = catalog.data(family)
    lines = Catalog(data).wait_lines
    for row in data.get("waits", ()):
        known = lines[f"{row['file']}:{row['function']}", row["python"]]
        assert set(known.values()) <= {True, False}
        assert known, row
