"""Goldens: what the tool says about each fixture, short enough that a difference can be read.

A golden is the summary of a report, one line for each group, lock, chain, deadlock and finding, beside its fixture as
``NAME.golden.json``.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from threaddump.analysis import analyze
from threaddump.report import DumpReport, Group, Report
from threaddump.sources import InputError, Source
from threaddump_parsers import parsers

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "fixtures"
FOLDERS = ("black-friday", "healthy", *(parser.FORMAT for parser in parsers() if (FIXTURES / parser.FORMAT).is_dir()))
UPDATE = "UPDATE_GOLDENS=1 python -m pytest tests/test_fixtures.py"


@dataclass(slots=True, frozen=True)
class Memory(Source):
    """An input that is not a file."""

    content: bytes = b""

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        yield io.BytesIO(self.content)


def source(content: bytes, name: str = "dump.txt") -> Source:
    return Memory(name, None, content=content)


def fixtures() -> list[str]:
    """The dumps below ``fixtures/``, as paths below it: programs and goldens are none."""
    found = (path for folder in FOLDERS for path in (FIXTURES / folder).iterdir())
    return sorted(path.relative_to(FIXTURES).as_posix() for path in found if not path.name.endswith(".golden.json"))


@cache
def provenance() -> dict[str, dict[str, str]]:
    """The rows of ``PROVENANCE.tsv`` by file."""
    with (FIXTURES / "PROVENANCE.tsv").open(encoding="utf-8", newline="") as rows:
        return {row["file"]: row for row in csv.DictReader(rows, delimiter="\t")}


@cache
def content(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


@cache
def report(name: str) -> Report:
    """The report on a fixture."""
    return report_on(content(name), Path(name).name)


def report_on(raw: bytes, name: str = "dump.txt") -> Report:
    def fail(_: Source, error: InputError) -> None:
        raise error

    return analyze([source(raw, name)], fail)


# The summary


def summary(dump: DumpReport) -> dict[str, Any]:
    """What a golden holds of one dump."""
    return {
        "format": dump.format,
        "runtime": dump.runtime_name,
        "version": dump.version,
        "taken_at": dump.taken_at,
        "pid": dump.pid,
        "total": dump.total,
        "virtual": dump.virtual,
        "by_state": dump.by_state,
        "by_kind": dump.by_kind,
        "request_threads": dump.request_threads,
        "truncated": dump.truncated,
        "problems": len(dump.problems),
        "unread_lines": dump.unread_lines,
        "groups": [_group(group) for group in dump.groups],
        "locks": [
            {
                "id": lock.id,
                "class": lock.class_name,
                "type": lock.type,
                "owner": [lock.owner.thread, lock.owner.evidence] if lock.owner else None,
                "waiters": len(lock.waiting),
            }
            for lock in dump.locks
        ],
        "chains": [
            {
                "root": [chain.root.kind, chain.root.caller, chain.root.count],
                "waiting": chain.waiting,
                "depth": chain.depth,
                "evidence": chain.evidence,
            }
            for chain in dump.chains
        ],
        "deadlocks": [
            {
                "threads": deadlock.threads,
                "type": deadlock.type,
                "reported_by_runtime": deadlock.reported_by_runtime,
                "behind": deadlock.behind,
            }
            for deadlock in dump.deadlocks
        ],
        "findings": [[finding.id, finding.severity, finding.title] for finding in dump.findings],
    }


def _group(group: Group) -> dict[str, Any]:
    """Only what there is: most of these are empty in most groups."""
    values = {
        "kind": group.kind,
        "count": group.count,
        "phase": group.phase,
        "frame": group.blocking_frame,
        "caller": group.caller,
        "integration": group.integration and group.integration.id,
        "pool": group.pool and group.pool.id,
        "timed": group.timed,
        "lock": group.lock,
    }
    return {name: value for name, value in values.items() if value is not None}


def written(dumps: list[DumpReport]) -> str:
    """The golden's text: one line for each value, and for each element of the lists."""
    texts = []
    for dump in dumps:
        values = []
        for name, value in summary(dump).items():
            text = json.dumps(value, ensure_ascii=False)
            if isinstance(value, list) and value:
                text = "[\n" + ",\n".join(f" {json.dumps(one, ensure_ascii=False)}" for one in value) + "\n]"
            values.append(f"{json.dumps(name)}: {text}")
        texts.append("{\n" + ",\n".join(values) + "\n}")
    return "[\n" + ",\n".join(texts) + "\n]\n"


# Comparing


def golden_path(name: str) -> Path:
    path = FIXTURES / name
    return path.with_name(f"{path.stem}.golden.json")


def check(name: str) -> str | None:
    """Compare a fixture with its golden: None, or what is different and how to agree. Writes it when asked to."""
    path, now = golden_path(name), written(report(name).dumps)
    agreed = path.read_text(encoding="utf-8") if path.exists() else ""
    if now == agreed:
        return None
    if os.environ.get("UPDATE_GOLDENS"):
        path.write_text(now, encoding="utf-8", newline="\n")
        return None
    lines = difflib.unified_diff(agreed.splitlines(), now.splitlines(), f"agreed: {path.name}", "now", n=0, lineterm="")
    shown = "\n".join(line for line in lines if not line.startswith("@@"))
    return f"{name} is read differently:\n{shown}\n\nRead it against fixtures/PROVENANCE.tsv; if it is right:\n{UPDATE}"
