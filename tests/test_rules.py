"""The user's own rules: what each kind of content changes, which file counts, and what is said about a bad one."""

from __future__ import annotations

import gc
import io
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dumps import AWAIT, PY_REQUESTS, SOCKET_READ, WORKER, dump, thread, times
from threaddump import cli, fanout
from threaddump.analysis import analyze, analyze_dump
from threaddump.classify import Verdict
from threaddump.cli.options import config_folder
from threaddump.report import DumpReport, Finding, Report
from threaddump.reports import json as json_report
from threaddump.rules import OWN_PRIORITY, Rules, load
from threaddump.sources import InputError, Source
from threaddump_parsers.model import Dump, Thread

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
ORDERS = FIXTURES / "black-friday" / "orders.jstack.txt"
HIKARI = FIXTURES / "hotspot" / "hikari-pool.txt"
CONVOY = FIXTURES / "hotspot" / "monitor-convoy.txt"
GUNICORN = FIXTURES / "py-spy" / "gunicorn-threads.txt"
QUEUE = FIXTURES / "py-spy" / "queue-idle-workers.txt"
NAME = "threaddump.toml"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a rules file; the schema is put in front."""

    def call(text: str, name: str = "own.toml", schema: str = "schema = 1\n") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(schema + text, "utf-8")
        return path

    return call


def whole_report(path: Path, rules: Rules | None = None) -> Report:
    errors: list[InputError] = []
    made = analyze([Source("x", path)], lambda _, error: errors.append(error), rules)
    assert not errors
    return made


def report(path: Path, rules: Rules | None = None) -> DumpReport:
    return whole_report(path, rules).dumps[0]


def with_rules(path: Path, write: Write, text: str) -> DumpReport:
    return report(path, load(named=[write(text)]))


def finding(made: DumpReport, id: str) -> Finding:
    return next(found for found in made.findings if found.id == id)


def ids(made: DumpReport) -> set[str]:
    return {found.id for found in made.findings}


def verdict(rules: Rules, *words: str, state: str = "RUNNABLE", family: str = "jvm") -> Verdict:
    version = "3.11.7" if family == "python" else "17.0.15"
    made = dump([thread("t", *words, state=state)], family, version=version)
    return rules.classifier(family).verdicts(made)[0]


def analyzed(made: Dump, rules: Rules) -> DumpReport:
    return analyze_dump(made, rules.classifier(made.family), "dump.txt", rules)


# --- application packages


@pytest.mark.parametrize(
    ("path", "app", "without", "caller"),
    [
        (ORDERS, "com.shop.orders.OrderHandler", "SchedulingGateway.requestSlot", "OrderHandler.handle"),
        (ORDERS, "com.shop.*", "SchedulingGateway.requestSlot", "SchedulingGateway.requestSlot"),
        (ORDERS, "com.sho", "SchedulingGateway.requestSlot", "SchedulingGateway.requestSlot"),
        (GUNICORN, "flask", "flask_app.py:slow", "flask/app.py:Flask.dispatch_request"),
        (GUNICORN, "gunicorn.workers", "flask_app.py:slow", "gunicorn/workers/gthread.py:ThreadWorker.handle_request"),
        (GUNICORN, "requests", "flask_app.py:slow", "requests/api.py:request"),
        (GUNICORN, "flask_app.py", "flask_app.py:slow", "flask_app.py:slow"),
    ],
)
def test_app_package_is_the_caller(path: Path, app: str, without: str, caller: str) -> None:
    def hot(made: DumpReport) -> str | None:
        return next(group.caller for group in made.groups if group.kind == "external-call")

    assert (hot(report(path)) or "").endswith(without)
    assert (hot(report(path, load(app=[app]))) or "").endswith(caller)


def test_app_in_a_file_is_the_app_of_the_command_line(write: Write) -> None:
    kinds = [with_rules(GUNICORN, write, 'app = ["flask"]').groups, report(GUNICORN, load(app=["flask"])).groups]
    assert kinds[0] == kinds[1]


def test_app_package_ends_what_stands_above_it() -> None:
    """A library's frames that call back into the application are not the library's package as a whole."""
    stack = (*SOCKET_READ, "org.apache.http.Own.call", "org.apache.http.client.Client.go", "com.shop.Main.run")
    assert verdict(load(), *stack).caller == "com.shop.Main.run"
    assert verdict(load(app=["org.apache.http.Own"]), *stack).caller == "org.apache.http.Own.call"


def test_frames_of_others_are_no_callers_when_the_app_is_known() -> None:
    stack = (*SOCKET_READ, "net.vendor.Sdk.call", "com.shop.Dao.load", "net.vendor.Loop.run", "com.shop.Main.run")
    assert verdict(load(), *stack).app_frames == (
        "net.vendor.Sdk.call",
        "com.shop.Dao.load",
        "net.vendor.Loop.run",
        "com.shop.Main.run",
    )
    found = verdict(load(app=["com.shop"]), *stack)
    assert (found.caller, found.app_frames) == ("com.shop.Dao.load", ("com.shop.Dao.load", "com.shop.Main.run"))
    assert verdict(load(app=["com.other"]), *stack).caller == "net.vendor.Sdk.call"


@pytest.mark.parametrize("app", ["orders", "/srv/shop/orders", "shop/orders", "orders.api", "/srv/shop/"])
def test_python_app_by_package_or_path(app: str) -> None:
    stack = (*PY_REQUESTS, "/srv/tools/retry.py:call", "/srv/shop/orders/api/place.py:place")
    assert verdict(load(), *stack, family="python", state="IDLE").caller == "tools/retry.py:call"
    assert verdict(load(app=[app]), *stack, family="python", state="IDLE").caller == "api/place.py:place"


def test_python_app_has_no_installed_and_no_standard_files() -> None:
    installed = ("/srv/shop/lib/python3.11/site-packages/sdk/x.py:x", "/srv/shop/main.py:main")
    found = verdict(load(app=["/srv/shop"]), *PY_REQUESTS, *installed, family="python", state="IDLE")
    assert found.caller == "shop/main.py:main"
    standard = ("/srv/shop/lib/python3.11/threading.py:run", "/srv/shop/main.py:main")
    found = verdict(load(app=["/srv/shop"]), *PY_REQUESTS, *standard, family="python", state="IDLE")
    assert found.caller == "shop/main.py:main"


# --- entries and libraries

POOL = """
[[entry]]
id = "shop.slots"
runtime = "jvm"
kind = "pool-wait"
match = ["com.shop.orders.SchedulingPool.lease"]
library = "slots"
timed = "state"

[[library]]
key = "slots"
name = "Slot pool v1.2"
timeouts = [{ phase = "acquire", knob = "slots.max-wait", default = "none", infinite_by_default = true }]
pool = [{ knob = "slots.size", default = "50" }]
recovery = ["slots.resize over JMX"]
"""
CALL = """
[[entry]]
id = "shop.scheduler"
runtime = "jvm"
kind = "external-call"
phase = "read"
match = ["com.shop.orders.SchedulingGateway.requestSlot"]
library = "scheduler"

[[library]]
key = "scheduler"
name = "Scheduling service"
system = "http"
timeouts = [{ phase = "read", knob = "scheduler.timeout", default = "0" }]
"""


def test_own_pool_and_library(write: Write) -> None:
    own = finding(with_rules(ORDERS, write, POOL), "pool-wait-untimed")
    assert "SchedulingPool" in finding(report(ORDERS), "pool-wait-untimed").title
    assert own.title == "50 of 500 request threads wait for a slot of Slot pool v1.2, without a timeout"
    assert "called by SchedulingGateway.slotFor" in own.detail
    assert "450 threads in external calls" in own.detail
    assert own.advice[1] == "give the lease a timeout: slots.max-wait (default: none)"
    assert own.advice[-1].endswith("the size of the pool: slots.size (default: 50)")
    assert own.recovery[1:] == ["slots.resize over JMX"]


def test_own_integration_point(write: Write) -> None:
    made = with_rules(ORDERS, write, CALL)
    group = next(group for group in made.groups if group.kind == "external-call")
    assert group.integration is not None
    assert (group.integration.name, group.integration.system) == ("Scheduling service", "http")
    assert group.caller == "com.shop.orders.SchedulingGateway.slotFor"
    assert "scheduler.timeout" in finding(made, "hot-external-call").advice[0]
    with_app = with_rules(ORDERS, write, 'app = ["com.shop"]\n' + CALL)
    assert next(g for g in with_app.groups if g.kind == "external-call").caller == group.caller


def test_own_entry_explains_below_frames_of_its_own_company() -> None:
    rules = Rules(
        entries={
            "pay": {
                "id": "pay",
                "runtime": "jvm",
                "kind": "external-call",
                "role": "integration",
                "library": "pay",
                "priority": OWN_PRIORITY,
                "match": ["com.shop.pay.Client.call"],
            }
        }
    )
    stack = (*AWAIT, "com.shop.pay.Reply.await", "com.shop.pay.Client.call", "com.shop.Main.run", *WORKER)
    found = verdict(rules, *stack, state="WAITING")
    assert (found.kind, found.library, found.caller) == ("external-call", "pay", "com.shop.Main.run")


def test_an_entry_with_an_id_of_ours_replaces_ours(write: Write) -> None:
    assert report(HIKARI).by_kind["pool-wait"] == 90
    text = 'id = "jvm.pool.hikari"\nruntime = "jvm"\nkind = "sync-wait"\nmatch = ["com.zaxxer.hikari.pool.*"]'
    assert with_rules(HIKARI, write, f"[[entry]]\n{text}").by_kind["sync-wait"] == 100


def test_own_library_replaces_ours(write: Write) -> None:
    made = with_rules(HIKARI, write, '[[library]]\nkey = "hikaricp"\nname = "Our pool"\nrecovery = ["call the DBA"]')
    assert "Our pool" in finding(made, "pool-exhausted").title
    assert finding(made, "pool-exhausted").recovery[1:] == ["call the DBA"]


@pytest.mark.parametrize(
    ("family", "state", "package", "stack", "caller"),
    [
        ("jvm", "RUNNABLE", "net.vendor", (*SOCKET_READ, "net.vendor.Sdk.call", "com.shop.A.run"), "com.shop.A.run"),
        ("python", "IDLE", "vendor_sdk", (*PY_REQUESTS, "vendor_sdk/api.py:call", "shop/a.py:run"), "shop/a.py:run"),
    ],
)
def test_packages_of_an_own_library_are_no_callers(
    family: str, state: str, package: str, stack: Sequence[str], caller: str, write: Write
) -> None:
    rules = load(named=[write(f'[[library]]\nkey = "v"\nname = "V"\npackages = ["{package}"]')])
    assert verdict(rules, *stack, family=family, state=state).caller == caller
    assert verdict(load(), *stack, family=family, state=state).caller != caller


def test_proof_of_an_entry_is_allowed(write: Write) -> None:
    proof = 'verified = true\nevidence = "seen"\nexamples = [{ frames = ["a.B.c"] }]\n'
    made = with_rules(ORDERS, write, POOL.replace('timed = "state"\n', f'timed = "state"\n{proof}'))
    assert "Slot pool" in finding(made, "pool-wait-untimed").title


# --- idle frames


def test_idle_frame_silences(write: Write) -> None:
    made = with_rules(ORDERS, write, 'idle = ["com.shop.orders.SchedulingGateway.requestSlot"]')
    assert made.by_kind["idle"] == report(ORDERS).by_kind["idle"] + 450
    assert "hot-external-call" not in ids(made)


def test_idle_frame_of_python(write: Write) -> None:
    assert report(QUEUE).by_kind["idle"] == 9
    assert with_rules(QUEUE, write, 'idle = ["queue_idle_workers.py:process"]').by_kind == {"idle": 11}


def test_idle_frame_may_be_deep(write: Write) -> None:
    rules = load(named=[write('idle = ["com.shop.Worker.waitForJob"]')])
    stack = (*AWAIT, "com.shop.util.Slots.next", "com.shop.Worker.waitForJob", "com.shop.Worker.run", *WORKER)
    assert verdict(load(), *stack, state="WAITING").kind == "sync-wait"
    assert verdict(rules, *stack, state="WAITING").kind == "idle"
    # A frame of a loop proves nothing while the loop is at work.
    assert verdict(rules, "com.shop.Job.run", "com.shop.Worker.waitForJob", *WORKER).kind == "running"


# --- severities, disabled ids


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Run]:
    """Runs ``threaddump analyze`` in an empty folder, with an empty configuration folder."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "platform", "linux")

    def call(*arguments: object, command: str = "analyze") -> Result:
        monkeypatch.setattr(sys, "argv", ["threaddump", command, *map(str, arguments)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        assert isinstance(code, int)
        return Result(code, out, err)

    yield call
    gc.enable()


def test_severities_are_the_users(run: Run, write: Write) -> None:
    rules = write('[severity]\nthreads-behind-one-owner = "info"\nrequest-threads-saturated = "off"\n')
    assert run(CONVOY, "--fail-on", "medium").code == 1
    assert run(CONVOY, "--fail-on", "medium", "--rules", rules).code == 0
    higher = write('[severity]\nread-without-timeout = "critical"\n', "higher.toml")
    result = run(CONVOY, "--fail-on", "critical", "--rules", rules, "--rules", higher)
    assert result.code == 1
    made = report(CONVOY, load(named=[rules, higher]))
    assert [(found.id, found.severity) for found in made.findings] == [
        ("read-without-timeout", "critical"),
        ("threads-behind-one-owner", "info"),
    ]


SERIES = [FIXTURES / "hotspot" / f"series-{number}-of-3.txt" for number in (1, 2, 3)]
STORY = FIXTURES / "black-friday"
TIERS = [f"--service={name}={STORY / name}.jstack.txt" for name in ("frontend", "orders", "scheduling")]


@pytest.mark.parametrize(("files", "id"), [(SERIES, "stuck-threads"), (TIERS, "cascade")])
def test_severities_hold_for_what_several_dumps_show(files: Sequence[object], id: str, run: Run, write: Write) -> None:
    def severities(text: str) -> set[str]:
        result = run(*files, "-f", "json", "--rules", write(text))
        assert result.code == 0, result.err
        return {found["severity"] for found in json.loads(result.out)["findings"] if found["id"] == id}

    assert severities("") - {"info"}
    assert severities(f'[severity]\n{id} = "info"\n') == {"info"}
    assert severities(f'[severity]\n{id} = "off"\n') == severities(f'disable = ["{id}"]\n') == set()


def test_severities_hold_for_what_has_changed(run: Run, write: Write) -> None:
    healthy = FIXTURES / "healthy" / "search.jstack.txt"

    def new(text: str) -> dict[str, str]:
        result = run(healthy, ORDERS, "-f", "json", "--rules", write(text), command="diff")
        return {found["id"]: found["severity"] for found in json.loads(result.out)["findings"]["new"]}

    assert new("")["hot-external-call"] == "critical"
    assert new('[severity]\nhot-external-call = "low"\n')["hot-external-call"] == "low"
    assert "hot-external-call" not in new('disable = ["hot-external-call"]\n')


def test_disabled_finding(write: Write) -> None:
    assert ids(report(CONVOY)) - ids(with_rules(CONVOY, write, 'disable = ["read-without-timeout"]')) == {
        "read-without-timeout"
    }


def test_disabled_entry(write: Write) -> None:
    assert "pool-wait" not in with_rules(HIKARI, write, 'disable = ["jvm.pool.hikari", "jvm.pool.by-name"]').by_kind
    assert "pool-wait" not in with_rules(ORDERS, write, 'disable = ["shop.slots", "jvm.pool.by-name"]\n' + POOL).by_kind


# --- pools by name


def pool(size: int | None = None, role: str | None = None) -> str:
    lines = ["[[pool]]", 'match = ["orders-exec-*"]', 'label = "checkout"']
    return "\n".join([*lines, *([f"size = {size}"] if size else []), *([f'role = "{role}"'] if role else [])])


def test_pool_that_is_as_big_as_it_gets(write: Write) -> None:
    made = with_rules(ORDERS, write, pool(500))
    assert finding(made, "request-threads-saturated").title.startswith("all 500 checkout threads (size 500) wait")
    assert finding(made, "hot-external-call").title.startswith("450 of 500 checkout threads (size 500) are in one")


def test_pool_that_may_still_grow_is_not_saturated(write: Write) -> None:
    made = with_rules(ORDERS, write, pool(2000))
    assert "request-threads-saturated" not in ids(made)
    hot = finding(made, "hot-external-call")
    assert hot.title.startswith("450 of 500 checkout threads (the pool may grow to 2000) are in one")
    # 500 of 2000: no longer most of the threads that could serve.
    assert (hot.severity, finding(report(ORDERS), "hot-external-call").severity) == ("high", "critical")


@pytest.mark.parametrize(
    ("role", "id", "request_threads"),
    [
        (None, "request-threads-saturated", 500),
        ("request", "request-threads-saturated", 500),
        ("worker", "thread-pool-saturated", 0),
        ("background", "thread-pool-saturated", 0),
    ],
)
def test_role_of_a_pool(role: str | None, id: str, request_threads: int, write: Write) -> None:
    made = with_rules(ORDERS, write, pool(role=role))
    assert "checkout threads wait" in finding(made, id).title
    assert made.request_threads == request_threads


def test_pool_of_threads_that_share_no_name(write: Write) -> None:
    names = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
    stack = (*SOCKET_READ, "com.shop.Dao.load", *WORKER)
    threads: list[Thread] = [thread(name, *stack, state="RUNNABLE") for name in names]
    made = dump([*threads, *times(3, "other", *stack, state="RUNNABLE")])
    text = (
        '[[pool]]\nmatch = ["other-*"]\nlabel = "others"\n[[pool]]\nmatch = ["*"]\nlabel = "Greek"\nrole = "request"\n'
    )
    found = analyzed(made, load(named=[write(text)]))
    assert finding(found, "request-threads-saturated").title.startswith("all 10 Greek threads wait")
    assert "request-threads-saturated" not in ids(analyzed(made, load()))


def test_request_threads_of_no_own_pool_stay_a_crew(write: Write) -> None:
    text = '[[pool]]\nmatch = ["http-nio-8080-exec-1*"]\nlabel = "ones"\nsize = 100\n'
    made = with_rules(HIKARI, write, text)
    assert finding(made, "request-threads-saturated").title.startswith("all 88 request threads wait")
    assert made.request_threads == 100


# --- which files count


def test_nothing_changes_without_rules(run: Run) -> None:
    assert run(ORDERS).out == run(ORDERS, "--no-rules").out
    assert "Own rules" not in run(ORDERS).out
    assert report(ORDERS) == report(ORDERS, load())


def test_without_rules_nothing_is_imported_for_them(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom threaddump.cli import main\n"
        f"sys.argv = ['threaddump', 'analyze', {str(CONVOY)!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    print(sorted({'threaddump.rules'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script]
    env = {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path), "APPDATA": str(tmp_path)}
    found = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.endswith("\n[]\n")
    (tmp_path / NAME).write_text("schema = 1\n")
    found = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.endswith("\n['threaddump.rules']\n")


OFF = '[severity]\nthreads-behind-one-owner = "{}"\n'


def severity(result: Result) -> str:
    found = json.loads(result.out)["findings"]
    return next((f["severity"] for f in found if f["id"] == "threads-behind-one-owner"), "off")


def test_file_here_then_the_users_then_none(run: Run, write: Write) -> None:
    assert severity(run(CONVOY, "-f", "json")) == "critical"
    write(OFF.format("low"), f"config/threaddump/{NAME}")
    assert severity(run(CONVOY, "-f", "json")) == "low"
    write(OFF.format("medium"), f"here/{NAME}")
    assert severity(run(CONVOY, "-f", "json")) == "medium"
    assert severity(run(CONVOY, "-f", "json", "--no-rules")) == "critical"


def test_named_files_come_on_top_and_the_last_wins(run: Run, write: Write) -> None:
    write(OFF.format("medium") + 'hot-external-call = "info"', f"here/{NAME}")
    low, off = write(OFF.format("low"), "low.toml"), write(OFF.format("off"), "off.toml")
    result = run(CONVOY, "-f", "json", "--rules", off, "--rules", low, "--app", "com.shop")
    assert severity(result) == "low"
    assert json.loads(result.out)["rules"] == [NAME, str(off), str(low), "--app com.shop"]
    assert severity(run(CONVOY, "-f", "json", "--rules", low, "--rules", off)) == "off"
    assert json.loads(run(CONVOY, "-f", "json", "--rules", low, "--no-rules").out)["rules"] == [str(low)]


def test_later_files_win_in_everything(write: Write) -> None:
    first = write(POOL + pool(500) + '\n[severity]\ndeadlock = "low"\n', "first.toml")
    off = write('disable = ["shop.slots", "deadlock"]\n', "off.toml")
    again = write(
        POOL.replace("Slot pool v1.2", "Slots 2").replace('"state"', '"always"')
        + pool(600).replace("checkout", "again")
        + '\n[severity]\ndeadlock = "high"\n',
        "again.toml",
    )
    rules = load(named=[first, off])
    assert (list(rules.entries), rules.disabled, rules.severities) == ([], {"shop.slots"}, {"deadlock": None})
    rules = load(named=[first, off, again])
    assert (rules.entries["shop.slots"]["timed"], rules.disabled) == ("always", frozenset())
    assert rules.severities == {"deadlock": "high"}
    made = report(ORDERS, rules)
    assert "again threads (the pool may grow to 600)" in finding(made, "hot-external-call").title
    assert "Slots 2, with a timeout" in finding(made, "pool-exhausted").title


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {}, "HOME/.config"),
        ("linux", {"XDG_CONFIG_HOME": "/xdg"}, "/xdg"),
        ("linux", {"XDG_CONFIG_HOME": "not/absolute"}, "HOME/.config"),
        ("darwin", {"XDG_CONFIG_HOME": "/xdg"}, "HOME/Library/Application Support"),
        ("win32", {"APPDATA": "/roaming"}, "/roaming"),
        ("win32", {}, "HOME/AppData/Roaming"),
    ],
)
def test_configuration_folder(
    platform: str, variables: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "HOME")
    monkeypatch.setenv("USERPROFILE", "HOME")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert config_folder(platform).replace("\\", "/") == folder


# --- where they apply, and that the report says so


def test_rules_apply_in_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    path = tmp_path / "big.txt"
    path.write_bytes(b"log\n" * 100 + CONVOY.read_bytes() * 6)
    rules = load(named=[write(OFF.format("low") + 'read-without-timeout = "off"\n' + pool(2))], app=["com.shop"])

    def text() -> str:
        out = io.StringIO()
        json_report.write(whole_report(path, rules), out)
        return out.getvalue()

    whole = text()
    monkeypatch.setattr(fanout, "PART", path.stat().st_size // 4)
    monkeypatch.setattr(fanout, "cpus", lambda: 3)
    assert len(fanout.split(Source("x", path))) == 3
    assert text() == whole
    assert "read-without-timeout" not in whole
    assert '"severity": "low"' in whole


def test_rules_are_plain_data(write: Write) -> None:
    rules = load(named=[write(POOL + CALL + pool(3))], app=["a"])
    again = pickle.loads(pickle.dumps(rules))
    assert {name: getattr(again, name) for name in Rules.__dataclass_fields__} == {
        name: getattr(rules, name) for name in Rules.__dataclass_fields__
    }


def test_rules_of_one_call_do_not_reach_the_next(write: Write) -> None:
    before = report(HIKARI)
    assert with_rules(HIKARI, write, 'disable = ["jvm.pool.hikari"]') != before
    assert report(HIKARI) == before


@pytest.mark.parametrize("form", ["terminal", "markdown", "json"])
def test_report_says_which_rules_were_used(form: str, run: Run, write: Write) -> None:
    write("", f"here/{NAME}")
    result = run(HIKARI, "--app", "com.shop", "--app", "a`b\x1b[31m", "--format", form)
    assert (result.code, result.err) == (0, "")
    assert "\x1b" not in result.out
    if form == "json":
        schema = json.loads(resources.files("threaddump.reports").joinpath("report.schema.json").read_text("utf-8"))
        made = json.loads(result.out)
        jsonschema.Draft202012Validator(schema).validate(made)
        assert made["rules"] == [NAME, "--app com.shop", "--app a`b\x1b[31m"]
    else:
        line = next(line for line in result.out.splitlines() if line.startswith("Own rules: "))
        assert NAME in line
        assert "--app com.shop" in line


def test_an_empty_report_has_no_rules() -> None:
    assert Report().rules == []


# --- bad rules

ENTRY = '[[entry]]\nid = "x"\nruntime = "jvm"\nkind = "io"\nmatch = ["a.B.c"]\n'
LIBRARY = '[[library]]\nkey = "k"\nname = "K"\n'
NAMED_POOL = '[[pool]]\nmatch = ["a-*"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[entry", "is not readable as TOML: "),
        ("ap = []", "unknown key 'ap'; did you mean 'app'?"),
        ("zzzzzz = 1", "unknown key 'zzzzzz'; "),
        ('app = "com.acme"', "app is not a list of texts"),
        ('app = ["."]', "app: '.' is no package"),
        ("idle = [1]", "idle is not a list of texts"),
        ('idle = ["a.b", "a.b"]', "entry 'idle:a.b' stands there twice"),
        ("entry = 1", "entry is not a list of tables: write [[entry]]"),
        ('[entry]\nid = "x"', "entry is not a list of tables: write [[entry]]"),
        (ENTRY.replace('"io"', '"foo"'), "entry 'x': kind 'foo' is none of external-call, idle, io,"),
        (ENTRY.replace('kind = "io"\n', ""), "entry 'x': kind None is none of"),
        (ENTRY.replace('"io"', '["io"]'), "entry 'x': kind is not a text"),
        (ENTRY.replace('id = "x"\n', ""), "entry '(no id)': it has no id"),
        (ENTRY.replace('"jvm"', '"java"'), "entry 'x': runtime 'java' is none of jvm, python"),
        (ENTRY.replace('runtime = "jvm"\n', ""), "entry 'x': runtime None is none of jvm, python"),
        (ENTRY.replace('["a.B.c"]', '"a.B.c"'), "entry 'x': match is not a list of patterns"),
        (ENTRY.replace('["a.B.c"]', "[]"), "entry 'x': match is empty"),
        (ENTRY + "prioritty = 1", "entry 'x': unknown key 'prioritty'; did you mean 'priority'?"),
        (ENTRY + 'profile = "x"', "entry 'x': unknown key 'profile'"),
        (ENTRY + 'priority = "1"', "entry 'x': priority is not a number"),
        (ENTRY + "max_depth = true", "entry 'x': max_depth is not a number"),
        (ENTRY + "library = 1", "entry 'x': library is not a text"),
        (ENTRY + 'role = "boss"', "entry 'x': role 'boss' is none of"),
        (ENTRY + 'timed = "often"', "entry 'x': timed 'often' is none of"),
        (ENTRY + 'states = ["waiting"]', "entry 'x': state 'waiting' is none of ACTIVE, BLOCKED,"),
        (ENTRY + 'locals = [{ frame = "a" }]', "entry 'x': locals is not a list of { frame, name }"),
        (ENTRY + 'locals = "a"', "entry 'x': locals is not a list of { frame, name }"),
        (ENTRY + 'pool_object = [{ frame = "a", name = 1 }]', "entry 'x': pool_object is not a list of"),
        (ENTRY + ENTRY, "entry 'x' stands there twice"),
        (LIBRARY.replace('key = "k"\n', ""), "library '(no key)': it has no key"),
        (LIBRARY.replace('name = "K"\n', ""), "library 'k': it has no name"),
        (LIBRARY + "timeout = []", "library 'k': unknown key 'timeout'; did you mean 'timeouts'?"),
        (LIBRARY + "system = 1", "library 'k': system is not a text"),
        (LIBRARY + 'recovery = "x"', "library 'k': recovery is not a list of texts"),
        (LIBRARY + "timeouts = [1]", "library 'k': timeouts is not a list of tables"),
        (LIBRARY + 'timeouts = [{ knop = "x" }]', "library 'k': timeouts: unknown key 'knop'; did you mean 'knob'?"),
        (LIBRARY + 'timeouts = [{ phase = "read", knob = "x" }]', "library 'k': timeouts: default is not a text"),
        (LIBRARY + 'pool = [{ knob = "x", default = 10 }]', "library 'k': pool: default is not a text"),
        (
            LIBRARY + 'timeouts = [{ phase = "read", knob = "x", default = "0", infinite_by_default = 1 }]',
            "infinite_by_default is not a truth value",
        ),
        (LIBRARY + LIBRARY, "library 'k' stands there twice"),
        (NAMED_POOL.replace('["a-*"]', "[]"), "pool []: match is empty"),
        (NAMED_POOL + 'role = "server"', "pool ['a-*']: role 'server' is none of request, worker, background"),
        (NAMED_POOL + 'label = "a"\nsize = 0', "pool 'a': size 0 is not a number of threads"),
        (NAMED_POOL + 'size = "50"', "pool ['a-*']: size '50' is not a number of threads"),
        (NAMED_POOL + "label = 1", "pool 1: label is not a text"),
        (NAMED_POOL + "maximum = 1", "pool ['a-*']: unknown key 'maximum'"),
        ("severity = 1", "severity is not a table: write [severity]"),
        ('[severity]\ndeadlok = "low"', "severity: 'deadlok' is no finding; did you mean 'deadlock'?"),
        ('[severity]\ndeadlock = "fatal"', "severity of 'deadlock': severity 'fatal' is none of critical, high,"),
        ('disable = ["jvm.pool.hikarri"]', "'jvm.pool.hikarri' is neither a finding nor a catalog entry; did you mean"),
        ('disable = "deadlock"', "disable is not a list of texts"),
    ],
)
def test_bad_rule(text: str, said: str, run: Run, write: Write) -> None:
    write(text, f"here/{NAME}")
    check_refused(run(ORDERS), NAME, said, "--no-rules")
    path = write(text)
    check_refused(run(ORDERS, "--no-rules", "--rules", path), str(path), said, "--rules")


def check_refused(result: Result, file: str, said: str, hint: str) -> None:
    assert (result.code, result.out) == (2, "")
    message, advice = result.err.splitlines()
    assert message.startswith(f"threaddump: {file}: ")
    assert said in message
    assert message.endswith("; nothing was analysed")
    assert advice.startswith("  try: ")
    assert hint in advice


@pytest.mark.parametrize(
    ("schema", "said"),
    [("", "schema = 1 is missing"), ("schema = 2\n", "schema 2 is not 1"), ("schema = true\n", "schema True is not 1")],
)
def test_schema(schema: str, said: str, run: Run, write: Write) -> None:
    path = write("", schema=schema)
    check_refused(run(ORDERS, "--rules", path), str(path), said, "--rules")


def test_file_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    check_refused(run(ORDERS, "--rules", "none.toml"), "none.toml", "cannot be read: No such file", "--rules")
    (tmp_path / "here" / "latin.toml").write_bytes(b'schema = 1\napp = ["\xe9"]')
    check_refused(run(ORDERS, "--rules", "latin.toml"), "latin.toml", "is not readable as TOML", "--rules")
    assert run(ORDERS, "--rules", tmp_path).code == 2


def test_bad_rules_come_before_bad_inputs(run: Run, write: Write) -> None:
    result = run("none.txt", "--rules", write("x = 1"))
    assert "none.txt" not in result.err


def test_app_that_is_no_package(run: Run) -> None:
    result = run(ORDERS, "--app", " ")
    assert (result.code, result.out) == (2, "")
    assert "--app ' ' is no package; nothing was analysed" in result.err


def test_rules_in_python(write: Write) -> None:
    good, bad = write('disable = ["read-without-timeout"]'), write("x = 1", "bad.toml")

    def told(rules: str) -> str:
        script = (
            f"import threaddump; print(*[f.id for f in threaddump.analyze({str(CONVOY)!r}, rules={rules}).findings])"
        )
        command = [sys.executable, "-c", script]
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return found.stdout + found.stderr

    assert "read-without-timeout" in told("None")
    assert "read-without-timeout" not in told(repr(str(good)))
    assert "InputError" in told(repr(str(bad)))
    assert "unknown key 'x'" in told(f"__import__('pathlib').Path({str(bad)!r})")


def test_byte_order_mark(write: Write) -> None:
    assert load(named=[write("", schema="\ufeffschema = 1\n")]).names


def test_example_of_the_readme_is_good(write: Write) -> None:
    text = (FIXTURES.parent / "README.md").read_text("utf-8")
    block = text.partition("```toml\n")[2].partition("```")[0]
    assert block
    rules = load(named=[write(block, schema="")])
    used: dict[str, Any] = {name: getattr(rules, name) for name in Rules.__dataclass_fields__}
    assert all(used.values()), used


def test_explain_knows_the_rules(run: Run) -> None:
    asked = ("--thread", "http-nio-8080-exec-11", FIXTURES / "hotspot" / "hikari-pool.txt")
    assert "caller   com.shop.lab.Cases.query" in run(*asked, command="explain").out
    told = run(*asked, "--app", "com.zaxxer.hikari", command="explain")
    assert told.code == 0
    assert "caller   com.zaxxer.hikari." in told.out
    assert " application  com.zaxxer.hikari.HikariDataSource.getConnection" in told.out
