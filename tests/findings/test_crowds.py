"""Many threads in the same code, and the places where different ways meet."""

from __future__ import annotations

import pytest

import dumps
from dumps import dump, findings, thread, times
from threaddump_parsers.model import Thread


def computing(count: int, place: str = "com.shop.Match.slow", prefix: str = "match", **changes: float) -> list[Thread]:
    """Threads that compute below one method, with different frames on top."""
    tops = ("java.lang.Integer.toString", "java.util.TreeMap.put", place)
    words = [(top, place) if top != place else (top,) for top in tops]
    return [
        thread(f"{prefix}-{n}", *words[n % 3], *dumps.WORKER, state="RUNNABLE", **changes) for n in range(1, count + 1)
    ]


def idle(count: int, prefix: str = "match-idle") -> list[Thread]:
    return times(count, prefix, *dumps.IDLE, state="WAITING")


@pytest.mark.parametrize(
    ("count", "others", "severity"),
    [
        (20, 0, "high"),
        (20, 20, "high"),
        (20, 21, "medium"),
        (10, 20, "medium"),
        (12, 28, "medium"),
        (10, 24, "low"),
        (5, 20, "low"),
        (5, 21, None),
        (4, 0, None),
    ],
)
def test_hot_code_by_count_and_share(count: int, others: int, severity: str | None) -> None:
    made = dump([*computing(count), *idle(others, "match")])
    found = findings(made, "hot-code")
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    for finding in found:
        assert finding.threads == count
        assert "run in the same code: Match.slow" in finding.title
        assert "Integer.toString (" in finding.detail
        assert (finding.evidence[0].thread, finding.evidence[0].line) == ("match-1", 10)


def test_hot_code_says_what_was_used() -> None:
    made = dump(computing(10, cpu_ms=500.0, elapsed_s=2.0))
    assert "They have used 5.0 s of CPU in 20 s of thread time." in findings(made, "hot-code")[0].detail
    assert "used" not in findings(dump(computing(10)), "hot-code")[0].detail


def test_hot_code_in_python_shares_one_core() -> None:
    words = ("shop/price.py:total@7", "shop/api.py:quote@3", *dumps.PY_THREAD)
    waiting = thread("MainThread", "selectors.py:EpollSelector.select@468", "shop/main.py:serve@3", state="IDLE")
    made = dump([*times(12, "job", *words, state="ACTIVE"), waiting], "python")
    (finding,) = findings(made, "hot-code")
    assert finding.severity == "medium"
    assert "one core at a time" in finding.detail


@pytest.mark.parametrize(
    "threads",
    [
        idle(40),
        times(40, "call", *dumps.SOCKET_READ, "com.shop.Api.call", *dumps.WORKER, state="RUNNABLE"),
        [t for n in range(10) for t in computing(4, f"com.shop.Job{n}.step", f"job{n}")],
        times(40, "gc", "java.lang.Object.hashCode", "java.lang.Thread.run", state="RUNNABLE"),
    ],
    ids=["idle", "calls", "different places", "no application"],
)
def test_no_hot_code(threads: list[Thread]) -> None:
    assert findings(dump(threads), "hot-code") == []


# --- where different ways meet

LEDGER = "com.shop.Ledger.append"


def ways(
    count: int, each: int, *above: str, below: tuple[str, ...] = dumps.SERVLET, state: str = "RUNNABLE"
) -> list[Thread]:
    """``each`` threads on each of ``count`` ways into what stands above."""
    return [
        thread(f"exec-{way * each + n}", *above, f"com.shop.Page{way}.show", *below, state=state)
        for way in range(count)
        for n in range(each)
    ]


WRITE = ("java.io.FileOutputStream.writeBytes", "java.io.FileOutputStream.write", LEDGER)
SQL = (
    "java.net.SocketInputStream.socketRead0",
    "java.net.SocketInputStream.read",
    "org.postgresql.core.PGStream.receive",
    "org.postgresql.core.v3.QueryExecutorImpl.execute",
    "org.postgresql.jdbc.PgStatement.executeQuery",
)
COMPUTE = ("java.util.TreeMap.put", LEDGER)
REPLY = (*dumps.AWAIT, LEDGER)


@pytest.mark.parametrize(
    ("above", "state", "place"),
    [(REPLY, "WAITING", "Ledger.append"), (SQL, "RUNNABLE", "PostgreSQL JDBC")],
    ids=["wait in a request", "data store"],
)
@pytest.mark.parametrize(("each", "free", "severity"), [(4, 0, "high"), (4, 21, "medium"), (4, 50, None), (1, 0, None)])
def test_a_place_that_different_ways_lead_to(
    above: tuple[str, ...], state: str, place: str, each: int, free: int, severity: str | None
) -> None:
    made = dump([*ways(5, each, *above, state=state), *idle(free, "exec")])
    found = findings(made, "shared-bottleneck")
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    for finding in found:
        assert finding.threads == 20
        assert f"meet in {place}" in finding.title
        assert finding.title.endswith("on 5 different ways")
        assert "Page0.show, Page1.show, Page2.show and 2 more" in finding.detail
        assert (finding.evidence[0].thread, finding.evidence[0].line) == ("exec-0", 10)


@pytest.mark.parametrize(
    "threads",
    [
        ways(2, 20, *REPLY, state="WAITING"),  # two ways are no crossing
        ways(5, 4, *COMPUTE),  # hot-code tells
        ways(5, 4, *REPLY, below=dumps.WORKER, state="WAITING"),  # workers that may be at rest
        ways(5, 10, *SQL),  # each of them a hot call
        ways(5, 4, "java.net.SocketInputStream.socketRead0", "java.net.SocketInputStream.read"),  # any peer
        ways(5, 4, *WRITE),  # file-stall tells
        ways(5, 4),
    ],
    ids=["two ways", "hot code", "workers", "hot calls", "any peer", "told by a stall", "nothing in common"],
)
def test_no_shared_bottleneck(threads: list[Thread]) -> None:
    assert findings(dump(threads), "shared-bottleneck") == []


def test_a_wrapper_is_no_bottleneck() -> None:
    """Each way goes through the transaction and on to work of its own."""
    made = [
        thread(f"exec-{n}", "java.util.TreeMap.put", f"com.shop.Job{n % 5}.work", "com.shop.Tx.run",
               f"com.shop.Page{n % 5}.show", *dumps.SERVLET, state="RUNNABLE")
        for n in range(40)
    ]  # fmt: skip
    assert findings(dump(made), "shared-bottleneck") == []


def test_threads_that_compute_different_things_may_meet_too() -> None:
    made = [
        thread(f"exec-{n}", f"com.shop.Node{n % 4}.insert", LEDGER, f"com.shop.Page{n % 10}.show", *dumps.SERVLET,
               state="RUNNABLE")
        for n in range(20)
    ]  # fmt: skip
    (finding,) = findings(dump(made), "shared-bottleneck")
    assert finding.title == "20 of 20 request threads meet in Ledger.append, on 10 different ways"


@pytest.mark.parametrize(("ways_in", "each", "found"), [(5, 2, True), (3, 3, False), (3, 4, True)])
def test_ten_threads_on_three_ways_are_enough(ways_in: int, each: int, found: bool) -> None:
    said = findings(dump(ways(ways_in, each, *REPLY, state="WAITING")), "shared-bottleneck")
    assert [finding.severity for finding in said] == ["medium"] * found
    assert all((" more" in finding.detail) is (ways_in > 3) for finding in said)


@pytest.mark.parametrize(("ways_on", "found"), [(2, True), (3, False)])
def test_fewer_ways_on_than_in_are_no_wrapper(ways_on: int, found: bool) -> None:
    made = [
        thread(f"exec-{n}", *dumps.AWAIT, f"com.shop.Job{n % ways_on}.go", LEDGER, f"com.shop.Page{n % 4}.show",
               *dumps.SERVLET, state="WAITING")
        for n in range(24)
    ]  # fmt: skip
    titles = [finding.title for finding in findings(dump(made), "shared-bottleneck")]
    assert any("meet in Ledger.append" in title for title in titles) is found


def test_places_of_one_name_in_two_packages_are_two() -> None:
    made = [t for way in (1, 2) for t in ways(2, 5, *dumps.AWAIT, f"com.shop{way}.Ledger.append", state="WAITING")]
    assert findings(dump(made), "shared-bottleneck") == []


def test_the_innermost_place_is_named_and_only_once() -> None:
    made = dump(ways(5, 4, *dumps.AWAIT, "com.shop.Tree.insert", LEDGER, state="WAITING"))
    assert [finding.title for finding in findings(made, "shared-bottleneck")] == [
        "20 of 20 request threads meet in Ledger.append, on 5 different ways"
    ]
