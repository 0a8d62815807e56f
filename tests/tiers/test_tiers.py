"""Dumps of several services: who calls whom and how that is known, where the cascade ends, and where to act first."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import unicodedata
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dumps
from dumps import blocked, dump, lock, thread
from threaddump import cli
from threaddump.analysis import analyze, facts_of, report_of
from threaddump.classify import Classifier
from threaddump.report import Cascade, Finding, Report, Tier
from threaddump.reports import json as as_json
from threaddump.reports import markdown, terminal
from threaddump.reports.text import cells
from threaddump.series.snapshots import snapshot
from threaddump.sources import InputError, Source
from threaddump.tiers.calls import words_of
from threaddump.tiers.cascades import find_tiers
from threaddump.tiers.services import called, service_sources
from threaddump_parsers.model import Dump, OsFacts, SystemCall

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
STORY = FIXTURES / "black-friday"
LAB = Path(os.environ.get("THREADDUMP_LAB") or Path(__file__).resolve().parents[3] / "shared" / "lab")
FILES = {name: STORY / f"{name}.jstack.txt" for name in ("frontend", "orders", "scheduling")}
VALIDATOR = jsonschema.Draft202012Validator(
    json.loads(resources.files("threaddump.reports").joinpath("report.schema.json").read_text("utf-8"))
)


def of_files(files: Mapping[str, Path | Sequence[Path]], *calls: str) -> Report:
    """The report that ``--service NAME=FILE`` and ``--calls`` give."""
    options = [
        f"{name}={path}" for name, paths in files.items() for path in ([paths] if isinstance(paths, Path) else paths)
    ]
    sources, names = service_sources(options, [])

    def fail(source: Source, error: InputError) -> None:
        raise error

    return analyze(sources, fail, services=names, calls=called(calls))


def of_dumps(made: Sequence[Dump], *calls: tuple[str, str], named: bool = True) -> Report:
    """The report on dumps in memory; the service is in each of them."""
    pairs = []
    for number, each in enumerate(made):
        facts = facts_of(each, Classifier(each.family))
        report = report_of(facts, f"{each.service}-{number}.txt")
        report.rename(f"d{number + 1}")
        pairs.append((report, snapshot(facts)))
    tiers, cascades = find_tiers(pairs, [], calls, named)
    return Report([report for report, _ in pairs], tiers=tiers, cascades=cascades)


def tier(report: Report, name: str) -> Tier:
    return next(each for each in report.tiers if each.service == name)


def numbers(each: Tier) -> tuple[int, int, int, int]:
    """Threads that serve, those of them that wait, and of the hot call those within and those behind."""
    call = each.waits_for
    return each.serving, each.blocked, call.threads if call else 0, call.behind if call else 0


def ids(report: Report) -> set[str]:
    return {finding.id for cascade in report.cascades for finding in cascade.findings}


def finding(report: Report, id: str) -> Finding:
    (found,) = (each for cascade in report.cascades for each in cascade.findings if each.id == id)
    return found


def only(report: Report) -> Cascade:
    (cascade,) = report.cascades
    return cascade


def printed(report: Report, width: int = 80) -> str:
    out = io.StringIO()
    terminal.write(report, out, width=width, color=False, top=10)
    return out.getvalue()


# --- the incident


@pytest.mark.parametrize("names", list(itertools.permutations(FILES)), ids="-".join)
def test_the_story_is_one_cascade_that_ends_at_scheduling(names: Sequence[str]) -> None:
    report = of_files({name: FILES[name] for name in names})
    cascade = only(report)
    assert cascade.tiers == ["frontend", "orders", "scheduling"]
    assert (cascade.end, cascade.end_here, cascade.act_on, cascade.waiting) == ("scheduling", True, "scheduling", 795)
    assert [numbers(each) for each in report.tiers] == [(300, 295, 50, 245), (500, 500, 450, 50), (25, 25, 0, 0)]
    (hold,) = tier(report, "scheduling").holds
    assert (hold.thread, hold.line, hold.what, hold.waiting, hold.kind) == (
        "sched-worker-1", 96, "LegacyCalendar", 24, "sleep",
    )  # fmt: skip
    assert tier(report, "frontend").serving_by_kind == {"pool-wait": 245, "external-call": 50, "idle": 5}
    assert finding(report, "cascade").severity == "critical"
    assert finding(report, "tier-imbalance").title.startswith("800 threads lean on 25: ")
    assert report.findings[0].id == "cascade"


def test_evidence_of_a_cascade_says_in_which_dump_it_is() -> None:
    report = of_files(FILES)
    evidence = {(item.dump, item.thread, item.line) for item in finding(report, "cascade").evidence}
    assert evidence == {("d1", "http-exec-1", 165), ("d2", "orders-exec-1", 215), ("d3", "sched-worker-1", 96)}
    for dump_id, name, line in evidence:
        source = next(each.source for each in report.dumps if each.id == dump_id)
        assert Path(source).read_text("utf-8").splitlines()[line - 1].startswith(f'"{name}"')


def test_without_the_first_tier() -> None:
    report = of_files({name: FILES[name] for name in ("scheduling", "orders")})
    assert only(report).tiers == ["orders", "scheduling"]
    assert (only(report).act_on, only(report).waiting) == ("scheduling", 500)


def test_without_the_last_tier_its_call_is_the_end() -> None:
    report = of_files({name: FILES[name] for name in ("orders", "frontend")})
    cascade = only(report)
    assert cascade.tiers == ["frontend", "orders"]
    assert (cascade.end, cascade.end_here) == (None, False)
    assert cascade.act_on == "the service behind SchedulingGateway.requestSlot"
    assert "no dump of it is here" in cascade.why
    assert ids(report) == {"cascade"}


def test_without_the_middle_tier_nothing_is_made_up() -> None:
    """Front end and scheduling have no call in common: two ends, and a word on how to join them."""
    files = {name: FILES[name] for name in ("frontend", "scheduling")}
    report = of_files(files)
    assert sorted(cascade.tiers for cascade in report.cascades) == [["frontend"], ["scheduling"]]
    assert ids(report) == set()
    assert "No call between these was found" in printed(report)

    report = of_files(files, "frontend:orders", "orders:scheduling")
    cascade = only(report)
    assert (cascade.tiers, cascade.act_on) == (["frontend", "orders", "scheduling"], "scheduling")
    assert (tier(report, "orders").instances, tier(report, "orders").dumps) == (0, [])
    assert ids(report) == {"cascade", "tier-imbalance"}
    assert "no dump of it is here" in printed(report)


@pytest.mark.parametrize("way", ["py-spy", "py-spy-native", "faulthandler"])
def test_python_tiers_below_a_java_front_end(way: str) -> None:
    orders, scheduling = (STORY / f"python-{name}.{way}.txt" for name in ("orders", "scheduling"))
    report = of_files({"frontend": FILES["frontend"], "orders": orders, "scheduling": scheduling})
    cascade = only(report)
    assert (cascade.tiers, cascade.act_on) == (["frontend", "orders", "scheduling"], "scheduling")
    (hold,) = tier(report, "scheduling").holds
    assert hold.waiting == 24


@pytest.mark.skipif(not (LAB / "jvm" / "story-17").is_dir(), reason="no lab")
@pytest.mark.parametrize("file", ["jstack-l.txt", "jcmd-print.txt", "kill3-stdout.log"])
@pytest.mark.parametrize("orders", ["orders", "oms", "order-management"])
def test_the_story_of_the_lab(file: str, orders: str) -> None:
    """Its front end calls through a class that names nothing, below a method that names orders."""
    folder = LAB / "jvm" / "story-17"
    report = of_files(
        {"scheduling": folder / "scheduling" / file, orders: folder / "oms" / file, "shop": folder / "frontend" / file}
    )
    assert only(report).tiers == ["shop", orders, "scheduling"]
    assert [numbers(each) for each in report.tiers] == [(300, 295, 50, 245), (500, 500, 450, 50), (25, 25, 0, 0)]


def test_dumps_of_one_process_are_one_instance() -> None:
    files = {"frontend": FILES["frontend"], "orders": sorted(STORY.glob("orders.*.txt"))}
    report = of_files({**files, "scheduling": FILES["scheduling"]})
    orders = tier(report, "orders")
    assert (orders.instances, len(orders.earlier), orders.serving) == (1, 2, 500)
    assert only(report).waiting == 795


def test_instances_of_a_service_are_counted_together() -> None:
    first, second = (gateway_caller(30, pid=pid) for pid in (1001, 1002))
    report = of_dumps([first, second, scheduler()])
    orders = tier(report, "orders")
    assert (orders.instances, orders.dumps, orders.serving) == (2, ["d1", "d2"], 60)
    assert orders.waits_for is not None
    assert orders.waits_for.threads == 60


def test_a_healthy_set_says_nothing_serious() -> None:
    searches = {"search": FIXTURES / "healthy" / "search.jstack.txt"}
    report = of_files({**searches, "suggest": FIXTURES / "healthy" / "python-search.py-spy.txt"}, "search:suggest")
    assert not [each for each in report.findings if each.severity in {"critical", "high", "medium"}]
    assert not [cascade for cascade in report.cascades if cascade.act_on]
    assert "--calls search:suggest: no call was found that could be it" in tier(report, "search").notes


# --- how calls are joined


def gateway_caller(
    count: int = 20,
    service: str = "orders",
    peer: str | None = None,
    where: str = "SchedulingGateway.slotFor",
    **facts: Any,
) -> Dump:
    """Request threads in one call, which the kernel saw waiting for ``peer``."""
    call = SystemCall("recvfrom", peer, "ESTABLISHED", waiting_ms=61_000) if peer else None
    frames = (*dumps.SOCKET_READ, f"com.shop.{service}.{where}", f"com.shop.{service}.Entry.handle", *dumps.SERVLET)
    threads = [thread(f"exec-{n}", *frames, state="RUNNABLE", call=call, native_id=1000 + n) for n in range(count)]
    pid = facts.pop("pid", None)
    return dump(threads, service=service, pid=pid, os=OsFacts(900, facts) if facts or peer else None)


def scheduler(service: str = "scheduling", idle: int = 0, **facts: Any) -> Dump:
    """One thread owns a lock and sleeps, nine wait for it; or some are idle."""
    calendar = lock("0x9", "com.shop.Calendar")
    handler = (f"com.shop.{service}.Entry.handle", *dumps.SERVLET)
    if idle:
        threads = dumps.times(idle, "work", *dumps.IDLE, state="WAITING")
        threads.append(thread("work-99", "com.shop.Sum.up", *handler, state="RUNNABLE"))
    else:
        threads = [thread("work-0", *dumps.SLEEP, f"com.shop.{service}.Feed.pause", *handler, holds=[calendar])]
        threads += [blocked(f"work-{n}", calendar, *handler) for n in range(1, 10)]
    return dump(threads, service=service, os=OsFacts(900, facts) if facts else None)


def joined(caller: Dump, *others: Dump) -> tuple[str | None, str, str]:
    call = tier(of_dumps([caller, *others]), caller.service or "").calls[0]
    return call.service, call.basis, call.reason


@pytest.mark.parametrize(
    ("peer", "facts"),
    [
        ("10.0.0.7:7001", {"listening": ["10.0.0.7:7001"]}),
        ("10.0.0.7:7001", {"listening": ["0.0.0.0:7001"], "addresses": ["10.0.0.7"]}),
        ("10.0.0.7:7001", {"listening": ["[::]:7001"], "addresses": ["10.0.0.7", "fe80::1"]}),
        ("[::ffff:10.0.0.7]:7001", {"listening": ["0.0.0.0:7001"], "addresses": ["10.0.0.7"]}),
        ("[2001:db8::7]:7001", {"listening": ["[::]:7001"], "addresses": ["2001:db8::7"]}),
    ],
)
def test_the_kernels_addresses_join(peer: str, facts: dict[str, Any]) -> None:
    """No name helps here."""
    found = joined(gateway_caller(service="a", peer=peer, where="X.y"), scheduler("b", **facts))
    assert found == ("b", "reported", f"it listens on {peer} (d2)")


def test_addresses_beat_names() -> None:
    caller = gateway_caller(peer="10.0.0.8:80")
    service, basis, _ = joined(caller, scheduler(), scheduler("pricing", listening=["10.0.0.8:80"]))
    assert (service, basis) == ("pricing", "reported")


def test_loopback_is_one_network_on_one_machine_only() -> None:
    here: dict[str, Any] = {"host": "m1", "addresses": ["10.0.0.1"]}
    there: dict[str, Any] = {"host": "m2", "addresses": ["10.0.0.2"]}
    caller = gateway_caller(service="a", peer="127.0.0.1:7001", where="X.y", **here)
    assert joined(caller, scheduler("b", listening=["0.0.0.0:7001"], **here))[:2] == ("b", "reported")
    assert joined(caller, scheduler("b", listening=["0.0.0.0:7001"], **there))[0] is None


def test_a_load_balancer_is_said_to_be_inferred() -> None:
    caller = gateway_caller(service="a", peer="10.96.0.1:7001", where="X.y")
    service, basis, reason = joined(caller, scheduler("b", listening=["10.0.0.7:7001"]))
    assert (service, basis) == ("b", "inferred")
    assert "a load balancer or NAT is in between" in reason


def test_a_port_that_two_services_listen_on_tells_nothing() -> None:
    caller = gateway_caller(service="a", peer="10.96.0.1:8080", where="X.y")
    others = [scheduler(name, listening=[f"10.0.0.{n}:8080"]) for n, name in enumerate(("b", "c"))]
    report = of_dumps([caller, *others])
    (call,) = tier(report, "a").calls
    assert (call.service, call.address) == (None, "10.96.0.1:8080")
    assert "waits for 10.96.0.1:8080" in printed(report)


def test_an_instance_without_a_dump_is_told_by_the_call_to_the_others() -> None:
    """The same call goes to two addresses; one of them is a dump's."""
    caller = gateway_caller(service="a", peer="10.0.0.7:7001", where="X.y")
    for each in caller.threads[5:]:
        each.call = SystemCall("recvfrom", "10.0.0.8:7002", "ESTABLISHED", waiting_ms=90_000)
    report = of_dumps([caller, scheduler("b", idle=9, listening=["10.0.0.7:7001"])])
    (call,) = tier(report, "a").calls
    assert (call.service, call.threads, call.addresses) == ("b", 20, {"10.0.0.8:7002": 15, "10.0.0.7:7001": 5})
    assert call.missing == ["10.0.0.8:7002"]
    assert call.waiting_ms == (61_000, 90_000, 90_000)
    assert finding(report, "called-tier-free").severity == "critical"
    assert "of these instances no dump is here: 10.0.0.8:7002" in printed(report)


def test_the_end_without_a_dump_is_told_by_its_address() -> None:
    front = gateway_caller(service="web", where="OrdersClient.place")
    report = of_dumps([gateway_caller(peer="10.0.0.7:7001"), front])
    cascade = only(report)
    assert (cascade.tiers, cascade.end, cascade.end_here) == (["web", "orders"], "10.0.0.7:7001", False)
    assert cascade.act_on == "10.0.0.7:7001"
    assert "10.0.0.7:7001, of which no dump is here" in printed(report)
    assert finding(report, "cascade").title.startswith("web -> orders -> 10.0.0.7:7001: 40 threads of 2 tiers wait")


def test_the_command_line_joins_what_nothing_else_does() -> None:
    made = [gateway_caller(service="a", where="X.y"), scheduler("b")]
    assert len(of_dumps(made).cascades) == 2
    report = of_dumps(made, ("a", "b"))
    assert (only(report).tiers, tier(report, "a").calls[0].basis) == (["a", "b"], "given")


def test_of_two_calls_the_command_line_means_the_one_that_is_named_so() -> None:
    caller = gateway_caller(12, where="SchedulingGateway.slotFor")
    caller.threads += gateway_caller(30, where="TaxClient.of").threads
    report = of_dumps([caller], ("orders", "scheduling"), ("orders", "vat"))
    assert {call.caller: call.service for call in tier(report, "orders").calls} == {
        "com.shop.orders.SchedulingGateway.slotFor": "scheduling",
        "com.shop.orders.TaxClient.of": "vat",
    }


@pytest.mark.parametrize(
    ("where", "service"),
    [
        ("SchedulingGateway.slotFor", "scheduling"),
        ("HttpClient.callScheduling", "scheduling"),
        ("SchedulingsClient.get", "scheduling"),
        ("TaxClient.scheduling", None),  # the class says what is called, and that is something else
        ("RestClient.get", None),
        ("RescheduleGateway.slotFor", None),
        ("BackendService.request", None),
    ],
)
def test_names_of_clients(where: str, service: str | None) -> None:
    made = gateway_caller(where=where)
    assert joined(made, scheduler(), scheduler("pricing"))[0] == service


def test_a_name_that_two_services_share_joins_neither() -> None:
    caller = gateway_caller(where="SlotClient.get")
    assert joined(caller, scheduler("slot-query"), scheduler("slot-update"))[0] is None


def test_a_call_to_a_database_is_not_joined_by_its_name() -> None:
    frames = (
        "java.net.SocketInputStream.socketRead0",
        "org.postgresql.core.v3.QueryExecutorImpl.execute",
        "com.shop.orders.SchedulingDao.load",
        *dumps.SERVLET,
    )
    caller = dump(dumps.times(20, "exec", *frames, state="RUNNABLE"), service="orders")
    call = tier(of_dumps([caller, scheduler()], ("orders", "scheduling")), "orders").calls[0]
    assert (call.service, call.integration and call.integration.system) == (None, "jdbc")


def test_words_of_names() -> None:
    assert words_of("SchedulingGateway") == ["scheduling", "gateway"]
    assert words_of("HTTPOrdersClient2") == ["http", "order", "client"]
    assert words_of("order-management_v2") == ["order", "management", "v"]


# --- what follows


def test_services_that_wait_for_each_other() -> None:
    one = gateway_caller(service="alpha", where="BetaClient.get")
    other = gateway_caller(service="beta", where="AlphaClient.get")
    report = of_dumps([one, other])
    cascade = only(report)
    assert (cascade.circle, cascade.act_on) == (True, "alpha and beta")
    assert "circle" in finding(report, "cascade").advice[0]
    assert "a circle" in printed(report)


def test_two_tiers_that_lean_on_the_same_one_are_one_cascade() -> None:
    made = [gateway_caller(30, service) for service in ("web", "app")]
    report = of_dumps([*made, scheduler()])
    assert only(report).tiers == ["app", "web", "scheduling"]
    assert only(report).waiting == 60


def test_a_called_tier_with_idle_threads_is_not_the_cause() -> None:
    report = of_dumps([gateway_caller(), scheduler(idle=9)])
    assert ids(report) == {"called-tier-free"}
    assert only(report).act_on == "the way from orders to scheduling"


def test_few_threads_are_no_cascade() -> None:
    caller = gateway_caller(9)
    report = of_dumps([caller, scheduler()])
    assert ids(report) == set()
    caller.threads += dumps.times(100, "exec", *dumps.IDLE, state="WAITING")
    assert ids(of_dumps([caller, scheduler(idle=9)])) <= {"tier-imbalance"}


@pytest.mark.parametrize(("callers", "severity"), [(99, None), (100, "medium")])
def test_imbalance(callers: int, severity: str | None) -> None:
    report = of_dumps([gateway_caller(callers), scheduler()])
    found = [each.severity for cascade in report.cascades for each in cascade.findings if each.id == "tier-imbalance"]
    assert found == ([severity] if severity else [])


def test_an_imbalance_that_nobody_feels_is_low() -> None:
    caller = gateway_caller(3)
    caller.threads += dumps.times(200, "exec", *dumps.IDLE, state="WAITING")
    assert finding(of_dumps([caller, scheduler(idle=9)]), "tier-imbalance").severity == "low"


def test_names_in_dumps_make_tiers_where_a_call_joins_them() -> None:
    made = [gateway_caller(), scheduler()]
    assert only(of_dumps(made, named=False)).tiers == ["orders", "scheduling"]
    assert of_dumps([gateway_caller(where="X.y"), scheduler()], named=False).tiers == []


def test_captures_bring_their_names_and_addresses(tmp_path: Path) -> None:
    """The lines that a capture adds are enough: no option names a service."""
    for name, peer, listening in (
        ("frontend", "10.0.0.2:7001", "10.0.0.1:80"),
        ("orders", "10.0.0.3:7002", "10.0.0.2:7001"),
        ("scheduling", None, "10.0.0.3:7002"),
    ):
        text = FILES[name].read_text("utf-8")
        process = {"schema": 1, "service": f"s-{name[:2]}", "host": name, "listening": [listening]}
        rows = []
        for entry in text.split("\n\n"):
            if peer is not None and "NioSocketImpl.implRead" in entry:
                nid = int(entry.partition("nid=")[2].split()[0], 16)
                row = {"tid": nid, "call": "recvfrom", "peer": peer, "state": "ESTABLISHED", "silent_ms": 61_000}
                rows.append(row)
        lines = "".join(f"# threaddump-os: {json.dumps(value)}\n" for value in (process, {"threads": rows}))
        (tmp_path / f"{name}.txt").write_text(f"{text}\n{lines}", "utf-8")
    report = analyze_folder(tmp_path)
    cascade = only(report)
    assert (cascade.tiers, cascade.act_on) == (["s-fr", "s-or", "s-sc"], "s-sc")
    assert {each.calls[0].basis for each in report.tiers[:2]} == {"reported"}
    assert [each.waits_for and each.waits_for.address for each in report.tiers] == [
        "10.0.0.2:7001",
        "10.0.0.3:7002",
        None,
    ]


def analyze_folder(folder: Path) -> Report:
    from threaddump.sources import expand

    def fail(source: Source, error: InputError) -> None:
        raise error

    return analyze(expand([str(folder)]), fail)


# --- properties


def story_in_memory() -> list[Dump]:
    return [
        gateway_caller(40, "web", where="OrdersClient.place"),
        gateway_caller(20, "web", where="OrdersClient.place"),
        gateway_caller(30, peer="10.0.0.7:7001"),
        scheduler(listening=["10.0.0.7:7001"]),
        scheduler("search", idle=5),
    ]


@settings(max_examples=30)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_dumps_changes_nothing(rng: random.Random) -> None:
    made = story_in_memory()
    rng.shuffle(made)
    report = of_dumps(made)
    assert [cascade.tiers for cascade in report.cascades] == [["web", "orders", "scheduling"], ["search"]]
    assert [(numbers(each), each.instances) for each in report.tiers] == [
        ((60, 60, 60, 0), 2), ((30, 30, 30, 0), 1), ((10, 10, 0, 0), 1), ((6, 0, 0, 0), 1),
    ]  # fmt: skip
    assert (report.cascades[0].act_on, report.cascades[0].waiting) == ("scheduling", 90)


ANY = st.text(st.characters(exclude_categories=()), min_size=1, max_size=60)


@settings(max_examples=60)
@given(ANY, ANY, ANY, st.lists(st.one_of(ANY, st.integers(), st.none()), max_size=4), st.sampled_from([40, 80, 160]))
def test_hostile_names_are_harmless(service: str, peer: str, where: str, listening: list[Any], width: int) -> None:
    caller = gateway_caller(15, service, peer=peer, where=where, listening=listening, addresses=listening, host=peer)
    other = scheduler(where, listening=[peer, *listening], connections=[{"from": peer, "state": "ESTABLISHED"}, 3])
    report = of_dumps([caller, other], (service, peer))
    text = printed(report, width)
    assert not [char for char in text if char != "\n" and unicodedata.category(char)[0] == "C"]
    assert not [line for line in text.splitlines() if cells(line) > width]
    out = io.StringIO()
    markdown.write(report, out, top=10)
    assert not [char for char in out.getvalue() if char != "\n" and unicodedata.category(char)[0] == "C"]
    out = io.StringIO()
    as_json.write(report, out)
    VALIDATOR.validate(json.loads(out.getvalue()))


# --- the command line and the reports


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["threaddump", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def test_the_report_starts_with_the_cascade(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten seconds at 3 am: the chain, the numbers, where to act; then the dump to act on, and not three of them."""
    options = [word for name, path in FILES.items() for word in ("--service", f"{name}={path}")]
    code, out, err = run(monkeypatch, capsys, "analyze", *options)
    assert (code, err) == (0, "")
    screen = " ".join(" ".join(out.splitlines()[:30]).split())
    for phrase in (
        "frontend 1 instance · 300 request threads: 295 wait (98 %), 5 idle",
        "orders 1 instance · 500 request threads: all wait (100 %)",
        "scheduling 1 instance · 25 request threads: all wait (100 %) <- act here first",
        'act first scheduling: 24 of its 25 request threads wait for LegacyCalendar, which "sched-worker-1" owns',
        "CRITICAL frontend -> orders -> scheduling: 795 threads of 2 tiers wait in the end for scheduling",
    ):
        assert phrase in screen
    assert out.startswith("TIERS")
    assert out.count("BLOCKING FRAMES") == 1
    assert "\nd3 " in out


def test_json_follows_the_schema(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    options = [word for name, path in FILES.items() for word in ("--service", f"{name}={path}")]
    code, out, _ = run(monkeypatch, capsys, "analyze", "-f", "json", "--fail-on", "critical", *options)
    assert code == 1
    made = json.loads(out)
    VALIDATOR.validate(made)
    assert [(each["service"], each["waits_on"], each["waiting"]) for each in made["tiers"]] == [
        ("frontend", "orders", 295), ("orders", "scheduling", 500), ("scheduling", None, 0),
    ]  # fmt: skip
    assert made["cascades"][0]["act_on"] == "scheduling"
    assert made["findings"][0]["id"] == "cascade"
    assert {item["dump"] for item in made["findings"][0]["evidence"]} == {"d1", "d2", "d3"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--service", "orders"], "not a name and its dumps"),
        (["--service", "=x.txt"], "not a name and its dumps"),
        (
            ["--service", f"a={FILES['orders']}", "--service", f"b={FILES['orders']}"],
            "is given to two services: a and b",
        ),
        (["--calls", "frontend", str(FILES["orders"])], "not two services"),
        (["--calls", "a:a", str(FILES["orders"])], "not two services"),
    ],
)
def test_options_that_say_nothing(
    options: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(monkeypatch, capsys, "analyze", *options)
    assert (code, out) == (2, "")
    assert said in err


def test_globs_folders_and_files_given_twice(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"om{number}.txt").write_text("x", "utf-8")
    others = [Source(str(tmp_path / "om1.txt"), tmp_path / "om1.txt"), Source("<stdin>", None)]
    for pattern in (f"{tmp_path}/om*.txt", str(tmp_path)):
        sources, names = service_sources([f"orders={pattern}"], others)
        assert [source.name for source in sources] == [*map(str, sorted(tmp_path.glob("om*"))), "<stdin>"]
        assert set(names.values()) == {"orders"}
        assert len(names) == 2
