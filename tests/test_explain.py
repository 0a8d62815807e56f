"""``threaddump explain``: a text for every finding, the catalog's entries, and why a thread got its kind."""

from __future__ import annotations

import ast
import gc
import io
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import chain
from pathlib import Path

import pytest

from dumps import SLEEP, SOCKET_READ, WORKER, blocked, dump, monitor, thread, times
from threaddump import catalog, cli, explain, intake
from threaddump.catalog import Entry
from threaddump.classify import weight
from threaddump.explain import find
from threaddump.explain import thread as thread_module
from threaddump.report import SEVERITIES
from threaddump.reports.text import cells, plain
from threaddump.sources import Source
from threaddump_parsers.model import Dump, OsFacts, SystemCall

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "threaddump" / "findings"
FIXTURES = ROOT / "fixtures"
STORY = FIXTURES / "black-friday"
ORDERS = STORY / "orders.jstack.txt"
SCHEDULING = STORY / "scheduling.jstack.txt"
HIKARI = FIXTURES / "hotspot" / "hikari-pool.txt"
HEALTHY = FIXTURES / "healthy" / "search.jstack.txt"
PYTHON = STORY / "python-orders-small.py-spy-locals.txt"
DUMPS = sorted(
    path for path in FIXTURES.glob("*/*") if path.suffix in {".txt", ".json"} and ".golden" not in path.suffixes
)
OFFICIAL = re.compile(
    r"https://(docs\.oracle\.com/(en/java/javase|javase/tutorial)/|openjdk\.org/jeps/\d+$|docs\.python\.org/3/"
    r"|docs\.kernel\.org/|tomcat\.apache\.org/|pkg\.go\.dev/runtime/)\S*"
)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """The output with each run of white space as one blank: phrases are found across line breaks."""
        return " ".join(self.out.split())


Run = Callable[..., Result]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    yield
    gc.enable()  # the command switches it off for its short life


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``threaddump explain`` in this process, with this text piped in."""

    def call(*arguments: object, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "argv", ["threaddump", "explain", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        assert isinstance(code, int)
        assert "Traceback" not in err
        return Result(code, out, err)

    return call


def told(result: Result, width: int = 80) -> Result:
    """Explained: exit code 0, nothing said on the side, no line too wide; addresses of documents stay whole."""
    assert result.code == 0, result.err
    assert result.err == ""
    assert not [line for line in result.out.splitlines() if cells(line) > width and "https://" not in line]
    return result


def refused(result: Result, said: str) -> Result:
    assert result.code == 2
    assert result.out == ""
    assert said in result.err
    assert re.search(r"^  try: \S", result.err, re.MULTILINE)
    return result


def read(path: Path) -> list[Dump]:
    return list(intake.dumps(Source(str(path), path)))


def trace(made: Dump, name: str) -> explain.Trace:
    return explain.trace(made, next(i for i, each in enumerate(made.threads) if each.name == name))


def reasons(found: explain.Trace) -> dict[str, str]:
    return {entry.id: reason for _, entry, reason in found.losers()}


def printed(made: Dump, name: str) -> str:
    index = next(i for i, each in enumerate(made.threads) if each.name == name)
    return " ".join(" ".join(map(plain, explain.thread_answer(made, index, "dump.txt")(80))).split())


# --- texts


def emitted() -> set[str]:
    """Ids that the rules can emit: of findings they make, and of the tables they make findings from."""
    paths = [*RULES.glob("*.py"), *(RULES.parent / package / "findings.py" for package in ("series", "tiers"))]
    trees = [ast.parse(path.read_text("utf-8")) for path in paths]
    tables = {
        node.name
        for node in chain.from_iterable(map(ast.walk, trees))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(each, ast.AnnAssign) and ast.unparse(each.target) == "id" for each in node.body[:2])
    }
    found: set[str] = set()
    for node in chain.from_iterable(map(ast.walk, trees)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in {"finding", "Finding", *tables}:
            continue
        named = [keyword.value for keyword in node.keywords if keyword.arg in {"id", "rule"}]
        (id,) = named or node.args[:1]
        found.update(text.value for text in ast.walk(id) if isinstance(text, ast.Constant) and text.value)
    return found


def test_each_finding_has_a_text_and_each_text_its_finding() -> None:
    assert set(explain.finding_texts()) == emitted()


def test_the_findings_are_found_in_the_code() -> None:
    known = {"deadlock", "pool-exhausted", "pool-wait-untimed", "thread-pool-saturated", "truncated-input", "dns-wait"}
    assert known <= emitted()


@pytest.mark.parametrize("text", explain.finding_texts().values(), ids=lambda text: text.id)
def test_text_is_complete(text: explain.FindingText) -> None:
    assert text.severity
    assert list(text.severity) == sorted(text.severity, key=SEVERITIES.index)
    assert text.do
    assert text.not_proven
    everything = [text.summary, text.meaning, text.trigger, *text.severity.values(), *text.do, *text.not_proven]
    assert not [part for part in everything if not part or "{" in part or "}" in part or part != part.strip()]
    assert text.references
    assert not [url for _, url in text.references if not OFFICIAL.fullmatch(url)]


def test_ids_are_unique() -> None:
    text = explain.TEXTS.read_text("utf-8")
    assert text.count("\n[[finding]]\n") == len(explain.finding_texts())


def test_texts_are_in_the_package() -> None:
    assert resources.files("threaddump.findings").joinpath("texts.toml").is_file()


def test_thresholds_are_those_of_the_code(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    from threaddump.findings import calls, saturation

    assert f"At least {calls.HOT} threads" in told(run("hot-external-call")).words
    monkeypatch.setattr(calls, "HOT", 1234)
    monkeypatch.setattr(saturation, "LOW_CPU", 0.45)
    explain.finding_texts.cache_clear()
    try:
        assert "At least 1,234 threads" in told(run("hot-external-call")).words
        assert "low below 45 % of one core" in told(run("request-threads-saturated")).words
    finally:
        explain.finding_texts.cache_clear()


def test_list_has_one_line_a_finding(run: Run) -> None:
    result = told(run())
    lines = [line for line in result.out.splitlines() if line.startswith("  ")]
    assert [line.split()[0] for line in lines] == list(explain.finding_texts())
    assert all(len(line.split()) > 2 for line in lines)
    assert "threaddump explain jvm.pool.hikari" in result.words


@pytest.mark.parametrize("id", explain.finding_texts())
def test_each_finding_is_explained(id: str, run: Run) -> None:
    result = told(run(id))
    headings = [line for line in result.out.splitlines() if re.fullmatch(r"[A-Z][A-Z ]+", line)]
    assert headings == ["MEANING", "TRIGGER", "SEVERITY", "WHAT TO DO", "WHAT IT DOES NOT PROVE", "REFERENCES"]


# --- catalog entries


def test_entry_shows_what_it_matches_and_its_library(run: Run) -> None:
    words = told(run("jvm.pool.hikari")).words
    assert "catalog entry, jvm/pools.toml" in words
    assert "kind pool wait" in words
    assert "· com.zaxxer.hikari.pool.HikariPool.getConnection" in words
    assert "verified yes: recorded dump of a test program, JDK 17" in words  # only the TOML has it
    assert "LIBRARY HikariCP" in words
    assert "maximumPoolSize (default: 10)" in words
    assert "recover HikariPoolMXBean.softEvictConnections()" in words


@pytest.mark.parametrize("family", ["jvm", "python"])
def test_each_library_is_shown_with_all_it_can_do(family: str) -> None:
    """Every limit, every size and everything that can be done at run time, with any entry of the library."""
    entries = {entry.library: entry for entry in catalog.load(family).entries if entry.library is not None}
    for key, entry in entries.items():
        profile = catalog.libraries(family)[key]
        words = " ".join(" ".join(map(plain, explain.id_answer(entry.id)(10_000))).split())
        shown = [f"timeout {each['phase']}: {each['knob']}" for each in profile.get("timeouts", ())]
        shown += [f"pool {each['knob']} (default: {each['default']})" for each in profile.get("pool", ())]
        shown += [f"recover {step}" for step in profile.get("recovery", ())]
        assert [text for text in shown if " ".join(text.split()) not in words] == [], key


def test_primitive_shows_the_priority_that_counts(run: Run) -> None:
    entries = chain.from_iterable(catalog.load(family).entries for family in ("jvm", "python"))
    entry = next(entry for entry in entries if weight(entry) != entry.priority)
    assert f"priority {entry.priority}, counts as {weight(entry)}" in told(run(entry.id)).words


@pytest.mark.parametrize("family", ["jvm", "python"])
def test_each_entry_is_explained(family: str) -> None:
    for entry in catalog.load(family).entries[:: 1 if family == "python" else 3]:
        lines = list(map(plain, explain.id_answer(entry.id)(80)))
        assert lines[0].startswith(entry.id)
        assert not [line for line in lines if cells(line) > 80]
        assert any(line.startswith("  verified ") for line in lines)
        assert f"catalog entry, {family}/" in " ".join(lines[:2])


# --- ids that are none


@pytest.mark.parametrize(
    ("word", "nearest"),
    [
        ("hot-external-cal", "threaddump explain hot-external-call"),
        ("jvm.pool.hikarri", "threaddump explain jvm.pool.hikari"),
        ("hikari", "threaddump explain jvm.pool.hikari"),
        ("zzzzzzzz", "threaddump explain, for all findings"),
        ("", "threaddump explain, for all findings"),
    ],
)
def test_unknown_id_is_refused_with_the_nearest(word: str, nearest: str, run: Run) -> None:
    assert nearest in refused(run(word), "neither a finding nor a catalog entry").err


def test_unknown_id_is_harmless(run: Run) -> None:
    assert "\x1b" not in refused(run("a\x1b[31mb"), "neither a finding").err


def test_a_file_is_no_id(run: Run) -> None:
    assert "--thread NAME" in refused(run(ORDERS), "is a file or folder").err


def test_one_id_at_a_time(run: Run) -> None:
    refused(run("deadlock", "dns-wait"), "one at a time")


# --- finding the thread


def test_exact_name_is_preferred(run: Run) -> None:
    assert told(run("--thread", "orders-exec-1", ORDERS)).words.startswith('"orders-exec-1" line 215 of ')


def test_part_of_a_name_is_enough_if_it_is_unique(run: Run) -> None:
    assert told(run("-t", "EXEC-451", ORDERS)).words.startswith('"orders-exec-451" line 15965 of ')


def test_several_threads_are_listed(run: Run) -> None:
    result = refused(run("--thread", "orders-exec", ORDERS), '"orders-exec" names 500 threads')
    lines = result.err.splitlines()
    assert lines[1] == '  "orders-exec-1" line 215'
    assert lines[11] == "  ... 490 more"
    assert lines[12] == "  try: a longer name, or the line of one of them: --line 215"
    assert len(lines) == 13


def test_the_same_name_in_several_files(run: Run) -> None:
    result = refused(run("--thread", "main", *[FIXTURES / "hotspot" / f"series-{n}-of-3.txt" for n in (1, 2, 3)]), "3")
    assert "series-2-of-3.txt" in result.err


@pytest.mark.parametrize("line", [118, 119, 130])
def test_any_line_of_an_entry_picks_its_thread(line: int, run: Run) -> None:
    assert told(run("--line", line, SCHEDULING)).words.startswith('"sched-worker-2" line 118 of ')


def test_line_tells_threads_of_one_name_apart() -> None:
    made = dump([thread("same", *SLEEP, line=5), thread("same", "com.shop.A.b", line=15)])
    assert find._at_line(made, 7) == [0]
    assert find._at_line(made, 15) == [1]


@pytest.mark.parametrize("line", [1, 99999])
def test_line_outside_of_all_entries(line: int, run: Run) -> None:
    refused(run("--line", line, SCHEDULING), f"no thread has line {line} in its entry")


def test_line_of_the_deadlock_section_is_in_no_entry(run: Run) -> None:
    path = FIXTURES / "hotspot" / "deadlock-two.txt"
    lines = path.read_text("utf-8").splitlines()
    number = next(n for n, line in enumerate(lines, 1) if line.startswith("Found one Java-level deadlock"))
    refused(run("--line", number + 2, path), "in its entry")


def test_no_such_thread_names_the_nearest(run: Run) -> None:
    assert '--thread "sched-worker-1"' in refused(run("--thread", "shed-worker-1", SCHEDULING), "has").err


def test_name_and_line_have_to_agree(run: Run) -> None:
    refused(run("--thread", "orders", "--line", 118, SCHEDULING), 'no thread at line 118 has "orders"')


def test_no_dump_is_refused(run: Run) -> None:
    refused(run("--thread", "x", ROOT / "README.md"), "no thread dump in it")


def test_missing_file_beside_a_good_one_is_said(run: Run, tmp_path: Path) -> None:
    result = run("--thread", "sched-worker-2", tmp_path / "none.txt", SCHEDULING)
    assert result.code == 0
    assert "No such file" in result.err
    assert '"sched-worker-2"' in result.out


def test_reads_standard_input(run: Run) -> None:
    result = told(run("--thread", "sched-worker-2", stdin=SCHEDULING.read_bytes()))
    assert '"sched-worker-2" line 118 of <stdin>' in result.words


def test_threads_without_a_name_are_told_by_line(run: Run) -> None:
    path = FIXTURES / "faulthandler" / "python-3.11.txt"
    assert told(run("--line", 3, path)).out.startswith("thread 0x")
    assert "thread 0x" in refused(run("--thread", "", path), "names 14 threads").err


# --- why a thread got its kind


def test_pool_of_the_application(run: Run) -> None:
    words = told(run("--thread", "orders-exec-451", ORDERS)).words
    assert "VERDICT pool wait, waiting for a free slot, no timeout" in words
    assert "because entry jvm.pool.by-name won, with priority 46 at frame 5" in words
    assert "caller com.shop.orders.SchedulingGateway.slotFor" in words
    assert "timeout none: the state is WAITING, not TIMED_WAITING" in words
    assert "5 application com.shop.orders.SchedulingPool.lease ^ blocking frame; matches jvm.pool.by-name" in words
    assert "6 application com.shop.orders.SchedulingGateway.slotFor ^ caller" in words
    assert "0 platform jdk.internal.misc.Unsafe.park" in words
    assert "lost jvm.sync.semaphore, sync wait, priority 45, frame 4 lower priority: 45 against 46" in words
    assert "for a slot, probably held by 450 threads (inferred: both are below" in words
    assert "behind it no thread" in words
    assert "finding pool-wait-untimed" in words


def test_a_captured_call_names_its_peer() -> None:
    call = SystemCall("read", "10.0.0.7:7001", "ESTABLISHED", waiting_ms=61_000)
    made = dump([thread("a", *SOCKET_READ, "com.shop.Gateway.slotFor", state="RUNNABLE", call=call)], os=OsFacts(9, {}))
    words = printed(made, "a")
    assert "for 10.0.0.7:7001, as the kernel told: ESTABLISHED, silent for 61 s" in words


def test_severities_are_the_users(run: Run, tmp_path: Path) -> None:
    rules = tmp_path / "own.toml"
    rules.write_text('schema = 1\n[severity]\nhot-external-call = "low"\npeer-silent = "off"\n', "utf-8")
    words = told(run("--thread", "orders-exec-1", ORDERS, "--rules", str(rules))).words
    assert "finding hot-external-call (low)" in words


def test_holder_of_a_slot(run: Run) -> None:
    words = told(run("--thread", "orders-exec-1", ORDERS)).words
    assert "VERDICT external call, waiting for the response, no read timeout" in words
    assert "for another process; the dump does not say which" in words
    assert "behind it 50 threads: 50 for a slot of a pool, of which it is one of the 450 probable holders" in words
    assert "finding hot-external-call (critical)" in words


def test_library_pool_wins_over_the_idle_queue(run: Run) -> None:
    line = (
        HIKARI.read_text("utf-8")
        .splitlines()
        .index("\tat com.zaxxer.hikari.pool.HikariPool.getConnection(HikariPool.java:164)")
    )
    words = told(run("--line", line + 1, HIKARI)).words
    assert "won jvm.pool.hikari, pool wait, priority 86, frame 5" in words
    assert "lost jvm.sync.queue.take, idle, priority 30, frame 3 lower priority: 30 against 86" in words
    assert "library com.zaxxer.hikari.util.ConcurrentBag.borrow" in words
    assert "needs one of these frames, none is on the stack: javax.servlet.http.HttpServlet.service" in words


def test_blocked_thread_and_its_owner(run: Run) -> None:
    words = told(run("--thread", "sched-worker-2", SCHEDULING)).words
    assert "because its state is BLOCKED: it cannot enter its top frame" in words
    assert "won jvm.sync.monitor, by the state" in words
    assert (
        'for "sched-worker-1" line 96, sleep in com.shop.scheduling.HolidayFeed.pause (printed by the runtime)' in words
    )
    words = told(run("--thread", "sched-worker-1", SCHEDULING)).words
    assert "behind it 24 threads: 24 for a lock that it owns" in words
    assert "^ took com.shop.scheduling.LegacyCalendar" in words
    assert "finding threads-behind-one-owner (critical)" in words


def test_class_initialiser(run: Run) -> None:
    words = told(run("--thread", "init-alpha", FIXTURES / "hotspot" / "class-init-deadlock.txt")).words
    assert "state RUNNABLE, read as BLOCKED" in words
    assert "wants the initialisation of class com.shop.lab.Cases$Beta" in words
    assert 'for "init-beta" line 125' in words
    assert "(inferred: this thread is inside the class's initialiser)" in words
    assert "deadlock it is in a cycle of 2 threads" in words


def test_class_initialiser_that_j9_names(run: Run) -> None:
    path = FIXTURES / "javacore" / "deadlock-monitors-and-lock-synthetic.txt"
    words = told(run("--thread", "init-2", path)).words
    assert "state CW, read as BLOCKED" in words
    assert 'for "init-1" line 235, sleep in com.shop.orders.Rates.<clinit> (printed by the runtime)' in words


def test_a_wait_that_may_have_a_timeout(run: Run) -> None:
    path = FIXTURES / "javacore" / "java5-owners-in-locks-section-synthetic.txt"
    words = told(run("--thread", "main", path)).words
    assert "state CW: a wait with or without a timeout, this dump does not tell which" in words
    assert "timeout not known" in words


def test_inferred_owner(run: Run) -> None:
    words = told(run("--line", 30, FIXTURES / "py-spy" / "logging-lock-locals.txt")).words
    assert "behind it 5 threads: 5 for a lock that it probably owns (inferred)" in words
    assert "ruled out by frame 1, logging/__init__.py:emit" in words


def test_idle_thread(run: Run) -> None:
    name = next(t.name for t in read(HEALTHY)[0].threads if "exec" in t.name)
    words = told(run("--thread", name, HEALTHY)).words
    assert "VERDICT idle" in words
    assert "for work to do" in words
    assert "finding" not in words


def test_thread_of_the_virtual_machine(run: Run) -> None:
    words = told(run("--thread", "VM Thread", HEALTHY)).words
    assert "VERDICT runtime because a thread of the virtual machine itself" in words
    assert "CANDIDATES" not in words


def test_python_thread(run: Run) -> None:
    words = told(run("--thread", "request_3", PYTHON)).words
    assert "because entry py.requests won, with priority 72 at frame 7" in words
    assert "timeout none: read_timeout: None in urllib3/connectionpool.py:_make_request" in words
    assert "0 platform socket.py:readinto:706 ^ blocking frame; matches py.sock.makefile" in words
    assert "lower priority: 49 against 72; it names the blocking frame" in words
    assert "lost py.tpe.worker, idle, priority 84, frame 15 outside of the zone, which ends above frame 11" in words


def test_task_that_awaits_others(run: Run) -> None:
    words = told(run("--thread", "Task-1", FIXTURES / "asyncio" / "ps.txt")).words
    assert "CPython · a task" in words
    assert "because it awaits other tasks" in words
    assert 'for the ends of "holder" line 4, "waiter-0" line 5, "waiter-1" line 6 and 28 more' in words


@pytest.mark.parametrize(
    ("name", "file", "words"),
    [
        ("gather_naps", "asyncio/task-reprs-awaits.txt", "because the dump prints what kind of future it waits for"),
        ("slot", "asyncio/print-stack-awaits.txt", "0 source line call:await asyncio.Semaphore.acquire:70 ^ blocking"),
        ("main", "hotspot-sa/mixed.txt", "VERDICT sleep because its state is TIMED_WAITING (sleeping)"),
        (
            "vt-starved-2",
            "jcmd-plain/pinned-carriers.txt",
            "VERDICT running because its state is RUNNABLE inferred ready",
        ),
    ],
)
def test_what_decides_where_frames_do_not(run: Run, name: str, file: str, words: str) -> None:
    assert words in told(run("--thread", name, FIXTURES / file)).words


def test_thread_that_waits_for_the_interpreter_lock(run: Run) -> None:
    path = FIXTURES / "gdb-py" / "py-bt-full-names.txt"
    (line,) = [at for at, text in enumerate(path.read_text("utf-8").splitlines(), 1) if "Waiting for the GIL" in text]
    words = told(run("--line", str(line), path)).words
    assert "VERDICT running because Waiting for the GIL: it is ready to run" in words


def test_mounted_virtual_thread_and_its_carrier() -> None:
    (made,) = read(FIXTURES / "hotspot" / "java25-pinned-carriers.txt")[:1]
    carrier = next(t for t in made.threads if t.carries is not None)
    assert "it carries a virtual thread" in printed(made, carrier.name)
    index = next(i for i, t in enumerate(made.threads) if t.carrier is not None)
    words = " ".join(" ".join(map(plain, explain.thread_answer(made, index, "dump.txt")(80))).split())
    assert f"it is mounted on {made.threads[index].carrier}" in words


def test_unknown_frames() -> None:
    made = dump([thread("t", "com.shop.A.b", "com.shop.C.d", state="WAITING")])
    words = printed(made, "t")
    assert "because no entry explains its frames, so the state alone decides (WAITING)" in words
    assert "── no zone: the innermost frame is the application's" in words
    assert "CANDIDATES entries that match a frame none" in words


def test_more_waiters_than_direct_ones() -> None:
    threads = [
        thread("root", *SLEEP, "com.shop.A.b", *WORKER, state="TIMED_WAITING", holds=[monitor("0x1")]),
        blocked("next", monitor("0x1"), holds=[monitor("0x2")]),
        blocked("last", monitor("0x2")),
    ]
    assert "behind it 2 threads: 1 for a lock that it owns, 1 behind those" in printed(dump(threads), "root")


# --- the candidates that lost


def fake(id: str, **changes: object) -> Entry:
    values: dict[str, object] = {"kind": "idle", "role": "wait", "priority": 99, "match": ("com.shop.A.b",)}
    return Entry(id=id, **(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"states": ("BLOCKED",)}, "needs the state BLOCKED; it is TIMED_WAITING"),
        ({"max_depth": 0}, "only for the innermost 0 frames"),
        ({"requires": ("com.shop.None.*",)}, "needs one of these frames, none is on the stack: com.shop.None.*"),
        ({"forbids": ("com.shop.A.*",)}, "ruled out by frame 1, com.shop.A.b"),
        ({"library": "x"}, "outside of the zone, which ends above frame 1"),
        ({"priority": 1}, "lower priority: 1 against 15"),
        ({"priority": 15}, "as strong as the winner, but further out"),
    ],
)
def test_each_reason_to_lose(changes: dict[str, object], reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = dump([thread("t", *SLEEP, "com.shop.A.b", state="TIMED_WAITING")])
    found = trace(made, "t")
    entry = fake("x.fake", **changes)
    matched = [found.matched[0], (entry,)]
    zone = 1
    monkeypatch.setitem(found.__dict__, "matched", matched)
    monkeypatch.setitem(found.__dict__, "zone", zone)
    assert reasons(found) == {"x.fake": reason}
    assert found.winner is not None
    assert found.winner[1].id == "jvm.sync.sleep"


def test_pool_inside_a_call_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    made = dump([thread("t", "java.net.SocketInputStream.socketRead0", "com.shop.A.b", state="RUNNABLE")])
    found = trace(made, "t")
    monkeypatch.setitem(found.__dict__, "matched", [found.matched[0], (fake("x.fake", kind="pool-wait", role="pool"),)])
    assert reasons(found)["x.fake"].startswith("inside a call or file access above it")
    assert found.winner is not None
    assert found.winner[1].role == "primitive"


def explained(made: Dump) -> Iterator[explain.Trace]:
    """One thread for each distinct stack and state."""
    seen: set[tuple[int, str | None]] = set()
    first = explain.trace(made, 0) if made.threads else None
    for index, each in enumerate(made.threads):
        if first is not None and (id(each.stack), each.state) not in seen:
            seen.add((id(each.stack), each.state))
            yield explain.Trace(first.facts, index)


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_explanation_is_what_was_decided(path: Path) -> None:
    for made in read(path):
        for found in explained(made):
            verdict, winner = found.verdict, found.winner
            if winner is not None:
                assert winner[1] is verdict.entry
                assert found.blocked or winner[0] <= found.zone
            elif verdict.entry is not None:
                assert verdict.kind == "lock-wait"
                assert found.blocked
            if verdict.blocking_frame is not None and found.by_frames:
                assert found.blocking is not None
            if verdict.caller is not None:
                assert found.caller is not None
            for _, entry, reason in found.losers():
                assert reason
                assert entry is not verdict.entry
                if winner is not None and reason.startswith("as strong"):
                    assert weight(entry) == weight(winner[1])
                if winner is not None and reason.startswith("lower priority"):
                    assert weight(entry) < weight(winner[1])
            lines = list(map(plain, thread_module._thread_lines(found, path.name, 80)))
            assert not [line for line in lines if cells(line) > 80]
            assert all(line.isprintable() for line in lines)


# --- the screen


def test_hostile_text_is_harmless() -> None:
    evil = "a\x1b[2J\u202eb\r\n"
    made = dump([thread(f"t{evil}", f"com.shop.X{evil}.y", state="RUNNABLE"), *times(2, "w", *SLEEP)])
    lines = [plain(line) for line in explain.thread_answer(made, 0, f"dump{evil}.txt")(80)]
    assert all(line.isprintable() for line in lines)
    assert "\\x1b[2J\\u202e" in "".join(lines)


def test_hostile_names_are_harmless_in_a_list(run: Run, tmp_path: Path) -> None:
    lines = [f'"w\x1b[31m-{n}" #1 prio=5 tid=0x1 nid=0x1 runnable\n' for n in (1, 2)]
    path = tmp_path / "dump.txt"
    path.write_text("Full thread dump OpenJDK 64-Bit Server VM (17):\n\n" + "\n".join(lines), "utf-8")
    assert "\x1b" not in refused(run("--thread", "w", path), "names 2 threads").err


def test_long_stack_is_cut_but_for_what_matters() -> None:
    frames = [f"java.util.R.f{number}" for number in range(400)]
    made = dump([thread("t", *frames[:200], "com.shop.A.b", *frames[200:], state="RUNNABLE")])
    words = printed(made, "t")
    assert "200 application com.shop.A.b ^ caller" in words
    assert "140 more frames" in words
    assert "400 platform java.util.R.f399" in words
    assert "java.util.R.f199" not in words


@pytest.mark.parametrize("width", [10, 40, 61, 200])
def test_fits_any_width(width: int) -> None:
    (made,) = read(SCHEDULING)[:1]
    for index in (20, 25, 30):
        lines = [plain(line) for line in explain.thread_answer(made, index, "d.txt")(max(width, 40))]
        assert max(map(cells, lines)) <= max(width, 40)


def test_colours_on_a_terminal_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in run("deadlock").out
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    assert run("deadlock").code == 0
    assert "\x1b[1" in screen.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    screen.truncate(0)
    assert run("deadlock").code == 0
    assert "\x1b[" not in screen.getvalue()


def test_help_has_examples(run: Run) -> None:
    result = run("--help")
    assert result.code == 0
    assert "threaddump explain hot-external-call" in result.out
    assert "threaddump explain --thread" in result.out
    assert "Exit codes:" in result.out
