"""Several dumps in one input, of any kinds and in any order, wrapped or not: each says what it says alone."""

from __future__ import annotations

import random
from functools import cache
from itertools import pairwise

import pytest

import goldens
from test_wrappers import WRAPPERS
from threaddump.analysis import analyze
from threaddump.report import DumpReport
from threaddump.sources import InputError
from variants import LOG

SMALL = [name for name in goldens.fixtures() if len(goldens.content(name)) < 40_000]
# A record of a server's log is not logged once more.
TEXT = [name for name in SMALL if not name.endswith(".json") and "log-record" not in name]
WITHOUT_A_TITLE = {"asyncio", "folded", "pystack", "traceback"}
"""In some forms of these nothing tells where a dump ends and another process's begins, if their threads differ."""
TOLD_APART = {
    "faulthandler": ("python-3.14-thread-names", "logging-lock", "asyncio-idle-loop", "python-3.9"),
    "pystack": ("gunicorn-threads", "logging-lock", "psycopg3-pool-native", "lock-contention-python-3.14-names"),
    "traceback": ("celery-cry", "sqlalchemy-pool", "manhole", "lock-contention-hex-headers", "airflow-shape-synthetic"),
    "threadmxbean": ("deadlock-two-java25", "chain-of-six", "weblogic-synthetic", "jconsole-synthetic"),
    "gdb-py": ("core-segfault", "py-bt-lock-contention", "py-bt-waiting-for-gil"),
    "folded": ("austin-full", "austin-wall"),
}
"""Forms without a title, in which the main thread, a gdb's numbers, or the form itself tell it."""
WRAPPED = ("kubectl-prefix", "kubectl-timestamps", "journald", "docker-json-file", "logger", "quote")


def lines_of(name: str) -> list[bytes]:
    return (goldens.content(name).replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n").splitlines(keepends=True)


def reports(content: bytes) -> list[DumpReport]:
    errors: list[InputError] = []
    report = analyze([goldens.source(content)], lambda _, error: errors.append(error))
    assert not errors, errors
    return report.dumps


def essence(dump: DumpReport) -> tuple[object, ...]:
    """What is concluded, but for lines that cut in and what is said about them."""
    return (
        (dump.format, dump.version, dump.taken_at, dump.pid, dump.total),
        dump.by_state,
        [(g.kind, g.count, g.blocking_frame, g.caller, sorted(g.threads)) for g in dump.groups],
        [(k.id, k.class_name, k.owner and k.owner.thread, len(k.waiting)) for k in dump.locks],
        [(d.threads, d.behind, d.reported_by_runtime) for d in dump.deadlocks],
        sorted(f.id for f in dump.findings),
    )


@cache
def alone(name: str) -> list[tuple[object, ...]]:
    return [essence(dump) for dump in reports(b"".join(lines_of(name)))]


def can_be_told_apart(names: list[str]) -> bool:
    formats = [alone(name)[0][0] for name in names]
    return not any(a[0] == b[0] and a[0] in WITHOUT_A_TITLE for a, b in pairwise(formats))  # type: ignore[index]


def check(content: bytes, names: list[str]) -> None:
    expected = [one for name in names for one in alone(name)]
    assert [one[0] for one in map(essence, reports(content))] == [one[0] for one in expected]
    assert [essence(dump) for dump in reports(content)] == expected


RANDOM = random.Random(25)
"""The same parts in each run: what is left open is known and stands in ``can_be_told_apart``."""
PARTS = [[(RANDOM.choice(sorted(SMALL)), RANDOM.randint(1, 3)) for _ in range(RANDOM.randint(2, 5))] for _ in range(60)]


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: " ".join(name for name, _ in parts))
def test_any_dumps_with_a_log_between_them(parts: list[tuple[str, int]]) -> None:
    if not can_be_told_apart([name for name, _ in parts]):
        return
    check(b"".join(b"".join(lines_of(name)) + LOG * logs for name, logs in parts), [name for name, _ in parts])


PAIRS = [(RANDOM.choice(sorted(TEXT)), RANDOM.choice(sorted(TEXT)), RANDOM.choice(WRAPPED)) for _ in range(60)]


@pytest.mark.parametrize(("plain", "wrapped", "wrapper"), PAIRS, ids=map(" ".join, PAIRS))
def test_a_wrapped_dump_after_a_plain_one(plain: str, wrapped: str, wrapper: str) -> None:
    if not can_be_told_apart([plain, wrapped]):
        return
    # A profile has no line that says that one begins, and where a blank line is a time stamp, it looks like a title.
    if wrapped.startswith(("austin/", "folded/")) or (
        wrapper == "kubectl-timestamps" and wrapped.startswith("jcmd-plain/")
    ):
        return
    content = b"".join(lines_of(plain)) + LOG + b"".join(WRAPPERS[wrapper](lines_of(wrapped)))
    check(content, [plain, wrapped])


TWO = [
    (f"{folder}/{first}.txt", f"{folder}/{second}.txt", between)
    for folder, names in TOLD_APART.items()
    for first in names
    for second in names
    for between in (b"", LOG)
]


@pytest.mark.parametrize(("first", "second", "between"), TWO)
def test_two_processes_in_one_form_without_a_title(first: str, second: str, between: bytes) -> None:
    check(b"".join(lines_of(first)) + between + b"".join(lines_of(second)), [first, second])


NEIGHBOURS = [
    ("javacore/locks-section-alone-synthetic.txt", "jrockit/r28-lock-chains-synthetic.txt"),  # a pid above its title
    ("javacore/locks-section-alone-synthetic.txt", "hotspot/chain-of-six.txt"),  # a date
    ("javacore/locks-section-alone-synthetic.txt", "threadmxbean/jconsole-synthetic.txt"),  # a name
    ("jrockit/r28-lock-chains-synthetic.txt", "hotspot/task-scopes.txt"),  # a pid in the form of its own
    ("gevent/run-info.txt", "jrockit/weblogic-log-record-synthetic.txt"),  # no line of the tree
    ("gevent/run-info.txt", "actuator/spark-4-synthetic.json"),
    ("profiling-sampling/lock-contention.txt", "traceback/celery-cry.txt"),  # frames that look alike
    ("jcmd-plain/pinned-carriers.txt", "traceback/pytest-timeout-in-a-failure.txt"),
    ("traceback/celery-cry.txt", "jcmd-json/virtual-deadlock.json"),  # no variables
    ("folded/py-spy-lock-contention.txt", "traceback/sqlalchemy-pool.txt"),  # no comment
]


@pytest.mark.parametrize(("first", "second"), NEIGHBOURS)
@pytest.mark.parametrize("between", [b"", LOG])
def test_what_a_dump_takes_for_its_own(first: str, second: str, between: bytes) -> None:
    check(b"".join(lines_of(first)) + between + b"".join(lines_of(second)), [first, second])


@pytest.mark.parametrize("wrapper", WRAPPED)
@pytest.mark.parametrize("wrapped", ["threadmxbean/weblogic-synthetic.txt", "threadmxbean/jconsole-synthetic.txt"])
def test_wrapped_threads_without_the_words_of_a_dump(wrapped: str, wrapper: str) -> None:
    plain = "asyncio/print-stack.txt"
    content = b"".join(lines_of(plain)) + LOG + b"".join(WRAPPERS[wrapper](lines_of(wrapped)))
    check(content, [plain, wrapped])
