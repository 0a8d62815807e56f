"""What takes the CPU: threads that never pause, and the garbage collector."""

from __future__ import annotations

import pytest

import dumps
from dumps import dump, findings, thread
from threaddump_parsers.model import Thread


def spinning(number: int = 1, cpu_s: float = 90.0, alive_s: float = 100.0) -> Thread:
    frames = ("java.util.HashMap.getNode", "com.shop.Cart.total", *dumps.WORKER)
    return thread(f"cart-{number}", *frames, state="RUNNABLE", cpu_ms=cpu_s * 1000, elapsed_s=alive_s)


def collector(number: int, cpu_s: float) -> Thread:
    return thread(f"GC Thread#{number}", internal=True, cpu_ms=cpu_s * 1000, elapsed_s=100.0)


def test_a_thread_that_never_pauses() -> None:
    (found,) = findings(dump([spinning()]), "busy-thread")
    assert (found.severity, found.threads) == ("low", 1)
    assert '"cart-1" used 90 % of a core for 100 s' in found.detail
    assert (found.evidence[0].thread, found.evidence[0].line) == ("cart-1", 10)


@pytest.mark.parametrize("words", [("java.util.HashMap.getNode",), ("java.util.regex.Pattern$Loop.match",), ()])
def test_what_a_thread_mostly_suffers_from_is_advised(words: tuple[str, ...]) -> None:
    made = thread("t", *words, "com.shop.Cart.total", state="RUNNABLE", cpu_ms=90_000.0, elapsed_s=100.0)
    (found,) = findings(dump([made]), "busy-thread")
    assert len(found.advice) == 1 + bool(words)


def test_several_are_worse() -> None:
    (found,) = findings(dump([spinning(1), spinning(2)]), "busy-thread")
    assert (found.severity, found.threads) == ("medium", 2)


@pytest.mark.parametrize(("cpu_s", "alive_s"), [(79.0, 100.0), (29.0, 29.5)])
def test_pauses_and_youth_are_no_finding(cpu_s: float, alive_s: float) -> None:
    assert findings(dump([spinning(1, cpu_s, alive_s)]), "busy-thread") == []


def test_without_times_nothing_is_said() -> None:
    quiet = spinning()
    quiet.cpu_ms = None
    assert findings(dump([quiet]), "busy-thread") == []


def test_a_wait_is_not_busy() -> None:
    waiting = thread("w", *dumps.IDLE, state="WAITING", cpu_ms=99_000.0, elapsed_s=100.0)
    assert findings(dump([waiting]), "busy-thread") == []


def test_the_collector_takes_most() -> None:
    (found,) = findings(dump([spinning(1, 10.0), collector(0, 15.0), collector(1, 15.0)]), "gc-busy")
    assert (found.severity, found.threads) == ("medium", 2)
    assert "75%" in found.title
    assert found.detail.startswith("30 of 40 s")


@pytest.mark.parametrize(("own_s", "gc_s"), [(90.0, 30.0), (1.0, 9.0)])
def test_a_small_share_or_a_short_time_is_usual(own_s: float, gc_s: float) -> None:
    assert findings(dump([spinning(1, own_s), collector(0, gc_s)]), "gc-busy") == []
