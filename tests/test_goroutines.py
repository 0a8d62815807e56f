"""What is concluded from goroutines: names of their frames, wait reasons, locks whose owner Go does not record."""

from __future__ import annotations

from typing import Any

import pytest

import dumps
from dumps import findings, thread
from threaddump.classify import Verdict
from threaddump.naming import last_segments, naming
from threaddump.report import Waiting
from threaddump.reports.words import minutes_words
from threaddump_parsers.model import Dump, Frame, Lock, Thread

SERVE = ("net/http.HandlerFunc.ServeHTTP", "net/http.serverHandler.ServeHTTP", "net/http.(*conn).serve")
CALL = ("net/http.(*persistConn).roundTrip", "net/http.(*Client).do", "shop/gateway.(*Gateway).RequestSlot")
LOCK = ("sync.runtime_SemacquireMutex", "sync.(*Mutex).lockSlow", "sync.(*Mutex).Lock")
READ = ("internal/poll.runtime_pollWait", "internal/poll.(*FD).Read", "net.(*netFD).Read", "net.(*conn).Read")


def goroutine(id: int, *words: str, state: str | None = None, **changes: Any) -> Thread:
    made = thread("", *words, state=state, java_id=id, **changes)
    made.unit = "goroutine"
    return made


def goroutines(count: int, *words: str, state: str | None = None, start: int = 1, **changes: Any) -> list[Thread]:
    return [goroutine(number, *words, state=state, **changes) for number in range(start, start + count)]


def dump(*threads: Thread) -> Dump:
    return dumps.dump(threads, "go", format="goroutine", runtime="Go", version="1.22")


def verdict(*words: str, state: str | None = None) -> Verdict:
    return dumps.verdicts(dump(goroutine(1, *words, state=state)))[0]


def idle_server() -> list[Thread]:
    accept = ("internal/poll.(*FD).Accept", "net.(*netFD).accept", "net/http.(*Server).Serve", "main.main")
    keep_alive = (*READ, "net/http.(*connReader).Read", "bufio.(*Reader).Peek", "net/http.(*conn).serve")
    pooled = (*READ, "net/http.(*persistConn).Read", "bufio.(*Reader).Peek", "net/http.(*persistConn).readLoop")
    return [
        goroutine(1, *accept, state="IO wait"),
        *goroutines(300, *keep_alive, state="IO wait", start=10),
        *goroutines(40, *pooled, state="IO wait", start=1000),
        *goroutines(40, "net/http.(*persistConn).writeLoop", state="select", start=2000),
        *goroutines(60, "shop/jobs.worker", state="chan receive", start=3000),
        goroutine(4000, "runtime.gopark", "runtime.bgsweep", state="GC sweep wait"),
    ]


def test_an_idle_server_is_no_finding() -> None:
    assert findings(dump(*idle_server())) == []


@pytest.mark.parametrize(
    ("words", "state", "kind"),
    [
        (("main.work",), "running", "running"),
        ((*READ, "main.work"), "runnable", "running"),
        (("main.work",), "chan receive", "unknown"),
        (("main.work", *SERVE), "chan receive", "sync-wait"),
        (("main.work", *SERVE), "select", "sync-wait"),
        (("main.work",), "chan send", "queue-put"),
        (("main.main",), "select (no cases)", "idle"),
        (("main.work",), "chan receive (nil chan)", "sync-wait"),
        (("runtime.gopark", "runtime.bgsweep"), "GC sweep wait", "runtime"),
        ((*LOCK, "database/sql.(*DB).conn", "main.work"), "sync.Mutex.Lock", "lock-wait"),
        ((*LOCK, *CALL), None, "lock-wait"),
        (("sync.(*WaitGroup).Wait", "main.work"), "semacquire", "sync-wait"),
        ((*READ, "net/http.(*connReader).backgroundRead"), "IO wait", "idle"),
        ((*CALL, *SERVE), "select", "external-call"),
        ((*READ, "main.work"), "IO wait", "external-call"),
        (("internal/poll.(*FD).Read", "os.(*File).Read", "main.work"), "syscall", "io"),
    ],
)
def test_kinds(words: tuple[str, ...], state: str | None, kind: str) -> None:
    assert verdict(*words, state=state).kind == kind


def test_the_caller_is_the_applications_own() -> None:
    assert verdict(*CALL, *SERVE, state="select").caller == "shop/gateway.(*Gateway).RequestSlot"


@pytest.mark.parametrize("file", ["/root/go/pkg/mod/example.com/lib@v1.2.3/x.go", "/build/vendor/example.com/lib/x.go"])
def test_modules_are_known_by_their_files(file: str) -> None:
    made = goroutine(1, state="chan receive")
    made.stack = (Frame("example.com/lib.Call", file, 3), Frame("shop.Work", "/build/work.go", 9))
    assert dumps.verdicts(dump(made))[0].caller == "shop.Work"


def test_pools_wait_for_ever_without_a_context() -> None:
    pool = ("database/sql.(*DB).conn", "database/sql.(*DB).query", "database/sql.(*DB).QueryContext")
    assert verdict(*pool, "database/sql.(*DB).Query", "main.work", state="select").timed is False
    assert verdict(*pool, "main.work", state="select").timed is None


def test_more_is_said_of_calls_that_are_known_to_last() -> None:
    made = [*goroutines(30, *CALL, *SERVE, state="select"), *goroutines(5, "main.work", state="running", start=100)]
    assert [f.severity for f in findings(dump(*made), "hot-external-call")] == ["high"]
    for each in made[:20]:
        each.waiting_s = 180.0
    (found,) = findings(dump(*made), "hot-external-call")
    assert found.severity == "critical"
    assert "20 of 30 have been waiting 3 minutes or more" in found.detail
    assert "30 of 30 request goroutines" in found.title


def test_goroutines_never_run_out() -> None:
    made = dump(*goroutines(50, *CALL, *SERVE, state="select"))
    assert "request-threads-saturated" not in {finding.id for finding in findings(made)}
    assert findings(dump(*goroutines(9000, "main.work", state="chan receive")), "too-many-threads") == []


def test_the_owner_of_a_mutex_is_inferred_from_the_code_of_its_type() -> None:
    mutex = Lock("0xc000014e10", "sync.Mutex")
    waiting = goroutines(12, *LOCK, "shop.(*Calendar).Free", *SERVE, state="semacquire", start=10)
    for each in waiting:
        each.blocked_on = mutex
    holder = goroutine(1, "time.Sleep", "shop.(*Calendar).Refresh", "shop.run", state="sleep")
    for each in (*waiting, holder):
        each.stack = tuple(Frame(frame.function, "calendar.go", frame.line) for frame in each.stack)
    (found,) = findings(dump(holder, *waiting), "threads-behind-one-owner")
    assert '"goroutine 1" probably holds Mutex' in found.title
    others = goroutine(1, "time.Sleep", "shop.refresh", "shop.run", state="sleep")
    others.stack = tuple(Frame(frame.function, "calendar.go", frame.line) for frame in others.stack)
    (unknown,) = findings(dump(others, *waiting), "lock-owner-unknown")
    assert "Go records no owner of a lock" in unknown.detail


def test_leaked_goroutines() -> None:
    made = goroutines(12, "shop.fetch", state="chan send", leaked=True)
    (found,) = findings(dump(*made), "goroutines-leaked")
    assert (found.severity, found.threads) == ("medium", 12)
    assert "shop.fetch (12)" in found.detail
    assert findings(dump(*made[:1]), "goroutines-leaked")[0].title.startswith("1 goroutine is leaked")


def test_counted_goroutines_are_cited_once() -> None:
    one = goroutine(1, *CALL, *SERVE)
    one.name = "one of 40 goroutines"
    (found,) = findings(dump(*[one] * 40), "hot-external-call")
    assert (found.threads, len(found.evidence)) == (40, 1)


@pytest.mark.parametrize(
    ("function", "short"),
    [
        ("github.com/acme/shop/orders.(*Gateway).RequestSlot", "orders.(*Gateway).RequestSlot"),
        ("main.(*Gateway).RequestSlot", "main.(*Gateway).RequestSlot"),
        ("main.stuck.func2.1", "main.stuck.func2.1"),
        ("database/sql.(*DB).conn", "sql.(*DB).conn"),
        ("com.shop.orders.SchedulingGateway.slotFor", "SchedulingGateway.slotFor"),
        ("Shop.Orders.Place", "Orders.Place"),
    ],
)
def test_short_names(function: str, short: str) -> None:
    assert last_segments(function) == short


@pytest.mark.parametrize(
    ("key", "root"),
    [
        ("github.com/jackc/pgx/v5.(*Conn).Query", "github.com/jackc/pgx"),
        ("google.golang.org/grpc/internal/transport.(*Stream).Read", "google.golang.org/grpc"),
        ("golang.org/x/sync/errgroup.(*Group).Wait", "golang.org/x"),
        ("main.work", "main"),
    ],
)
def test_roots_of_modules(key: str, root: str) -> None:
    assert naming("go").root(key) == root


@pytest.mark.parametrize(
    ("function", "key"),
    [
        ("Shop.Orders+<PlaceAsync>d__5.MoveNext", "Shop.Orders.PlaceAsync"),
        ("Shop.Startup+<>c__DisplayClass4_0.<Configure>b__0", "Shop.Startup.Configure"),
        ("System.Collections.Generic.List`1[System.__Canon].Add", "System.Collections.Generic.List.Add"),
        ("System.Threading.PortableThreadPool+WorkerThread.WorkerThreadStart",
         "System.Threading.PortableThreadPool.WorkerThread.WorkerThreadStart"),
    ],
)  # fmt: skip
def test_keys_of_dotnet_frames(function: str, key: str) -> None:
    assert naming("dotnet").key(Frame(function)) == key


@pytest.mark.parametrize(
    ("frame", "key"),
    [
        (Frame("block (2 levels) in work", "/srv/shop/app/jobs.rb", 4), "app/jobs.rb:work"),
        (Frame("Thread::Queue#pop", None, native=True), "native:pop"),
        (Frame("rbuf_fill", "/usr/lib/ruby/3.1.0/net/protocol.rb", 9), "net/protocol.rb:rbuf_fill"),
        (Frame("pop", "/srv/gems/connection_pool-2.4.1/lib/connection_pool/timed_stack.rb", 9),
         "connection_pool/timed_stack.rb:pop"),
        (Frame("rescue in block in run", "jobs.rb", 4), "jobs.rb:run"),
    ],
)  # fmt: skip
def test_keys_of_ruby_frames(frame: Frame, key: str) -> None:
    assert naming("ruby").key(frame) == key


def test_how_long_goroutines_wait() -> None:
    assert minutes_words(Waiting(30, 180_000, 180_000, 180_000), 30) == "waiting 3 minutes or more"
    assert minutes_words(Waiting(5, 60_000, 60_000, 60_000), 5) == "waiting 1 minute or more"
    assert minutes_words(Waiting(28, 60_000, 300_000, 1_020_000), 30) == "28 of 30 waiting 1 to 17 minutes or more"
