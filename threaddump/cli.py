"""The command line: options to calls, errors to a message with the next command to try, findings to exit codes."""

from __future__ import annotations

import gc
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from threaddump import __version__
from threaddump.report import SEVERITIES, Report
from threaddump.sources import InputError, Source, expand

if TYPE_CHECKING:
    from threaddump.rules import Rules
    from threaddump.summary import Summary

OK, FAILED_ON, UNUSABLE, PROBLEMS, INTERRUPTED = 0, 1, 2, 3, 130
RULES = "threaddump.toml"
PIPE_WIDTH = 100
"""Width of a report that goes to a file or a pipe, unless COLUMNS says otherwise."""
FAILURES_SHOWN = 10

app = typer.Typer(
    name="threaddump",
    help="Tells from JVM and Python thread dumps what the threads are stuck on, who waits behind them, and what to do.",
    epilog="\b\n"
    "Start with one of:\n"
    "  threaddump analyze dump.txt\n"
    "  py-spy dump --pid PID | threaddump analyze\n"
    "  threaddump analyze --help",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(StrEnum):
    """Output formats."""

    terminal = "terminal"
    markdown = "markdown"
    json = "json"


class ListFormat(StrEnum):
    """Forms of a list."""

    terminal = "terminal"
    json = "json"


class FailOn(StrEnum):
    """Severities for --fail-on."""

    critical = "critical"
    high = "high"
    medium = "medium"
    low = "low"
    info = "info"


_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?(ms|s|m|min|h)?")
_UNITS = {"ms": 0.001, "s": 1, None: 1, "m": 60, "min": 60, "h": 3600}


def duration(text: str | float) -> float:
    """Seconds of ``5s``, ``500ms``, ``2m``, ``1h`` or a plain number."""
    match = _TIME.fullmatch(str(text))
    if match is None:
        raise typer.BadParameter(f"{text!r} is no time: 5s, 500ms, 2m or 1h")
    return float(match[1]) * _UNITS[match[2]]


RulesOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--rules", metavar="FILE", help=f"Your own rules, on top of {RULES} in this or your configuration folder."
    ),
]
NoRulesOption = Annotated[bool, typer.Option("--no-rules", help=f"Do not look for a {RULES}.")]
SourceRootOption = Annotated[
    list[str] | None,
    typer.Option(
        "--source-root",
        metavar="DIR",
        help="Your application's Python source: tells what C calls and locks its lines mean. Can be repeated.",
    ),
]
AppOption = Annotated[
    list[str] | None,
    typer.Option("--app", metavar="PACKAGE", help="A package of your application: its frames are the callers."),
]

StuckAfterOption = Annotated[
    float,
    typer.Option(
        "--stuck-after", parser=duration, metavar="TIME", help="A call that waits for so long is stuck (captures)."
    ),
]


SummaryFormatOption = Annotated[
    Format | None, typer.Option("--format", "-f", help="Form; else json in a file, terminal without --output.")
]
SummaryOutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to FILE: by default what merge reads.")
]
TopOption = Annotated[
    int, typer.Option("--top", "-n", min=1, metavar="N", help="Show the N worst of each list; the rest is counted.")
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"threaddump {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(
    short_help="Say what threads are stuck on, who waits behind them, what to do.",
    epilog="\b\n"
    "Exit codes:\n"
    "    0  analysed\n"
    "    1  --fail-on was met\n"
    "    2  nothing usable: bad usage, no dump in any input\n"
    "    3  --strict, and the input has problems\n"
    "  130  interrupted",
)
def analyze(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Dump files, archives, folders or globs; - or nothing reads standard input."
        ),
    ] = None,
    form: Annotated[Format, typer.Option("--format", "-f", help="Form of the report.")] = Format.terminal,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the report to FILE.")
    ] = None,
    top: Annotated[
        int, typer.Option("--top", "-n", min=1, metavar="N", help="Show the N worst of each list; the rest is counted.")
    ] = 10,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="Exit with 1 if a finding is this severe or worse.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if the input has problems: unread lines, missing threads.")
    ] = False,
    stuck_after: StuckAfterOption = 5.0,
    services: Annotated[
        list[str] | None,
        typer.Option("--service", metavar="NAME=FILE", help="Dumps of a service: a file, folder or glob. Repeat it."),
    ] = None,
    calls: Annotated[
        list[str] | None,
        typer.Option(
            "--calls", metavar="CALLER:CALLED", help="One service calls the other, where no address shows it."
        ),
    ] = None,
    rules: RulesOption = None,
    no_rules: NoRulesOption = False,
    apps: AppOption = None,
    source_roots: SourceRootOption = None,
) -> None:
    """Say what the threads of a dump are stuck on, who waits behind them, and what to do.

    Reads what jstack, jcmd, kill -3, py-spy, faulthandler and others print (threaddump formats lists them all), within
    logs, wrapped by log collectors, and in archives; all dumps of a file are found.

    \b
    Examples:
      threaddump analyze dump.txt
      py-spy dump --pid 123 | threaddump analyze
      kubectl exec POD -- jcmd 1 Thread.print -l | threaddump analyze -f markdown
      threaddump analyze --service frontend='fe*.txt' --service orders='om*.txt'
    """
    from threaddump.analysis import analyze as analyze_sources

    own = _rules(rules or [], apps or [], look=not no_rules)
    roots = _source_roots(source_roots or [])
    failed: list[InputError] = []
    skipped = 0

    def on_error(source: Source, error: InputError) -> None:
        nonlocal skipped
        if source.named:
            failed.append(error)
        else:
            skipped += 1

    named: dict[str, str] = {}
    sources = expand(files or []) if files or not services else []
    if services:
        from threaddump.tiers.services import service_sources

        sources, named = service_sources(services, sources)
    pairs: list[tuple[str, str]] = []
    if calls:
        from threaddump.tiers.services import called

        pairs = called(calls)
    # A run is short and makes no cycles worth collecting: the collector would only walk the threads again and again.
    gc.disable()
    report = analyze_sources(sources, on_error, own, stuck_after, roots, named, pairs)
    for error in failed:
        _complain(error)
    if skipped:
        seen = skipped + len(failed) + len({(dump.source, dump.member) for dump in report.dumps})
        message = f"no thread dump in {skipped} of {seen} file{'s' * (seen != 1)}"
        from threaddump.formats import how_to_take_any

        _complain(InputError(message, "" if report.dumps else how_to_take_any()))
    if not report.dumps:
        raise typer.Exit(UNUSABLE)
    with _opened(output) as out:
        _write(report, out, form, top)
    raise typer.Exit(_exit_code(report, fail_on, strict))


@app.command(
    short_help="Compare a good and a bad moment: what is new, gone, grown.",
    epilog="\b\n"
    "Exit codes:\n"
    "    0  compared\n"
    "    1  --fail-on was met by a finding that is new or worse\n"
    "    2  nothing usable on one of the sides\n"
    "  130  interrupted",
)
def diff(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="A dump file, folder or glob of the good moment.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="The same of the bad moment.")],
    form: Annotated[Format, typer.Option("--format", "-f", help="Form of the report.")] = Format.terminal,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the report to FILE.")
    ] = None,
    top: Annotated[
        int, typer.Option("--top", "-n", min=1, metavar="N", help="Show the N worst of each list; the rest is counted.")
    ] = 10,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="Exit with 1 if a new or worse finding is this severe.")
    ] = None,
    stuck_after: StuckAfterOption = 5.0,
    rules: RulesOption = None,
    no_rules: NoRulesOption = False,
    apps: AppOption = None,
) -> None:
    """Compare a good and a bad moment: what is new, what is gone, what has grown.

    Of each process the last dump of a side counts. Dumps of one process are compared thread by thread, others (another
    instance, or after a restart) by the places that threads are blocked in.

    \b
    Examples:
      threaddump diff quiet.txt stuck.txt
      threaddump diff 'monday/orders-*.txt' 'friday/orders-*.txt' -f markdown
    """
    from threaddump.analysis import analyze_and_keep
    from threaddump.reports import difference as reports
    from threaddump.series.difference import difference

    own = _rules(rules or [], apps or [], look=not no_rules)

    def on_error(source: Source, error: InputError) -> None:
        if source.named:
            _complain(error)

    gc.disable()
    sides = []
    for side in (before, after):
        report, kept = analyze_and_keep(expand([side]), on_error, own, stuck_after)
        if not report.dumps:
            raise InputError(f"{side}: no thread dump to compare", "threaddump diff BEFORE AFTER: two files or folders")
        sides.append(kept)
    found = difference(*sides)
    with _opened(output) as out:
        if form is Format.json:
            reports.write_json(found, out)
        elif form is Format.markdown:
            reports.write_markdown(found, out, top=top)
        else:
            from threaddump.reports.terminal import print_lines

            width, color = _screen(out)
            print_lines(reports.lines(found, width, top), out, width=width, color=color)
    grown = [SEVERITIES.index(finding.severity) for finding in (*found.new_findings, *found.worse_findings)]
    if fail_on is not None and grown and min(grown) <= SEVERITIES.index(fail_on.value):
        raise typer.Exit(FAILED_ON)


@app.command(
    short_help="Say what many dumps of many instances have in common.",
    epilog="\b\n"
    "Exit codes:\n"
    "    0  summarized\n"
    "    2  nothing usable: bad usage, no dump in any input, or the cluster was lost\n"
    "  130  interrupted; what was done so far is written",
)
def summarize(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Dump files, archives, folders, globs or URLs; - or nothing reads standard input."
        ),
    ] = None,
    form: SummaryFormatOption = None,
    output: SummaryOutputOption = None,
    top: TopOption = 10,
    processes: Annotated[
        int | None, typer.Option("--processes", "-p", min=1, metavar="N", help="Else one for each processor.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", metavar="dask://HOST:PORT", help="Let a cluster of dask.distributed work.")
    ] = None,
    stuck_after: StuckAfterOption = 5.0,
    rules: RulesOption = None,
    no_rules: NoRulesOption = False,
    apps: AppOption = None,
) -> None:
    """Say what many dumps of many instances have in common: where threads are stuck, in how many, since when.

    Inputs that cannot be used are listed and cost nothing else. Memory does not grow with the number of dumps but for
    some hundred bytes each. A part, written with --output, can be merged with others in any order.

    \b
    Examples:
      threaddump summarize dumps/
      threaddump summarize 's3://incident/2026-11-22/*.txt'
      threaddump summarize dumps-07/ --output part-07.json; threaddump merge part-*.json
    """
    from threaddump import fanout
    from threaddump.fleet import StoppedError
    from threaddump.fleet import summarize as summarize_sources

    own = _rules(rules or [], apps or [], look=not no_rules)
    sources = expand(files or [])
    gc.disable()
    stopped: StoppedError | None = None
    with ExitStack() as opened:
        workers = None
        if engine is not None:
            workers = opened.enter_context(fanout.dask(engine))
        elif (width := min(processes or fanout.cpus(), len(sources))) > 1:
            workers = opened.enter_context(fanout.local(width))
        advance = opened.enter_context(_progress(len(sources)))
        try:
            summary = summarize_sources(sources, workers, own, stuck_after, advance)
        except StoppedError as error:
            stopped, summary = error, error.summary
    _write_summary(summary, form, output, top)
    if stopped is not None and stopped.reason is not None:
        _complain(stopped.reason)
    if stopped is not None and stopped.reason is None:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(OK if summary.seen and stopped is None else UNUSABLE)


@app.command(
    short_help="Merge the parts that summarize wrote.",
    epilog="\b\n"
    "Exit codes:\n"
    "    0  merged\n"
    "    2  bad usage, or a part cannot be used: nothing is merged then\n"
    "  130  interrupted",
)
def merge(
    files: Annotated[list[str], typer.Argument(metavar="PART...", help="Files of summarize --output, or of merge.")],
    form: SummaryFormatOption = None,
    output: SummaryOutputOption = None,
    top: TopOption = 10,
) -> None:
    """Merge the parts that summarize wrote, in any order: the result is that of one run over all their inputs.

    \b
    Examples:
      threaddump merge part-*.json
      threaddump merge part-*.json --format markdown
      threaddump merge part-1*.json --output ten.json
    """
    from threaddump.parts import read
    from threaddump.summary import Summary

    summary = Summary()
    for source in expand(files):
        summary.absorb(read(source))
    _write_summary(summary, form, output, top)
    raise typer.Exit(OK if summary.seen else UNUSABLE)


def _write_summary(summary: Summary, form: Format | None, output: Path | None, top: int) -> None:
    """As JSON where it goes to a file and nothing else is wanted."""
    form = form or (Format.terminal if output is None else Format.json)
    with _opened(output) as out:
        if form is Format.json:
            from threaddump import parts

            parts.write(summary, out)
        else:
            from threaddump.reports import fleet
            from threaddump.summary import Fleet

            if form is Format.markdown:
                fleet.write_markdown(Fleet(summary), out, top=top)
            else:
                width, color = _screen(out)
                fleet.write(Fleet(summary), out, width=width, color=color, top=top)
    if form is not Format.json:
        return
    for failure in summary.failures[:FAILURES_SHOWN]:
        _complain(InputError(f"{failure.source}: {failure.reason}", failure.hint))
    if summary.failed > FAILURES_SHOWN:
        more = summary.failed - FAILURES_SHOWN
        _complain(InputError(f"{more} more input{'s' * (more != 1)} could not be used: see the summary", ""))


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Shows how many inputs are done where somebody looks on, and is silent in a pipe."""
    if sys.stderr is None or not sys.stderr.isatty() or total < 2:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    # No thread of its own: processes are forked from this one.
    with Progress(console=Console(stderr=True), transient=True, auto_refresh=False) as shown:
        task = shown.add_task("dumps", total=total)

        def advance(count: int) -> None:
            shown.advance(task, count)
            shown.refresh()

        yield advance


@app.command(short_help="List the JVM and Python processes of this machine.")
def ps(
    form: Annotated[ListFormat, typer.Option("--format", "-f", help="Form of the list.")] = ListFormat.terminal,
) -> None:
    """List the JVM and Python processes of this machine, also those in containers.

    What may not be looked at is left out or shown as ?: as root all can be seen.
    """
    from threaddump import live
    from threaddump.capture.targets import processes
    from threaddump.reports.terminal import print_lines

    rows = live.process_rows(processes())
    with _opened(None) as out:
        if form is ListFormat.json:
            import json
            from dataclasses import asdict

            json.dump([asdict(row) for row in rows], out, indent=1)
            out.write("\n")
        else:
            width, color = _screen(out)
            print_lines(live.process_lines(rows, width if out.isatty() else 10_000), out, width=width, color=color)


@app.command(
    short_help="Take dumps of running processes, and analyse them.",
    epilog="\b\n"
    "Exit codes:\n"
    "    0  captured\n"
    "    1  --fail-on was met\n"
    "    2  nothing captured\n"
    "  130  interrupted; what was complete is kept",
)
def capture(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TARGET]...", help="A pid, or a glob or part of a process's name or command."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All JVM and Python processes.")] = False,
    count: Annotated[int, typer.Option("--count", "-c", min=1, max=1000, help="Dumps of each process.")] = 1,
    interval: Annotated[
        float, typer.Option("--interval", "-i", parser=duration, metavar="TIME", help="From dump to dump.")
    ] = 5.0,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR|FILE|-|URL", help="Where the dumps are kept.")
    ] = "./",
    analyzing: Annotated[bool, typer.Option("--analyze/--no-analyze", help="Report on what was taken.")] = True,
    native: Annotated[bool, typer.Option("--native", help="Python: with the frames of C.")] = False,
    variables: Annotated[
        bool, typer.Option("--locals", help="Python: with local variables: timeouts, pool objects; and secrets.")
    ] = False,
    resolve: Annotated[
        bool, typer.Option("--resolve", help="Ask DNS for the names of the peers, for two seconds at most.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", parser=duration, metavar="TIME", help="Longest wait for a dump.")
    ] = 30.0,
    form: Annotated[Format, typer.Option("--format", "-f", help="Form of the report.")] = Format.terminal,
    top: Annotated[
        int, typer.Option("--top", "-n", min=1, metavar="N", help="Show the N worst of each list; the rest is counted.")
    ] = 10,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="Exit with 1 if a finding is this severe or worse.")
    ] = None,
    stuck_after: StuckAfterOption = 5.0,
    rules: RulesOption = None,
    no_rules: NoRulesOption = False,
    apps: AppOption = None,
    source_roots: SourceRootOption = None,
) -> None:
    """Take dumps of running processes, and say what their threads are stuck on.

    A JVM is asked directly: no JDK is needed. Python is read by py-spy. On Linux each dump is followed by what the
    kernel knows of each thread: which address it waits for, how long, and whether that call has a timeout.

    \b
    Examples:
      threaddump capture 4711
      threaddump capture orders --count 3 --interval 10s
      threaddump capture --all --output dumps/
      kubectl exec POD -- threaddump capture 1 --output - > dump.txt
    """
    from threaddump import live
    from threaddump.analysis import analyze as analyze_sources
    from threaddump.capture import Options
    from threaddump.capture.keep import keeper
    from threaddump.capture.targets import find

    if not targets and not everything:
        raise InputError("no process is named", "threaddump ps lists them; threaddump capture PID, or --all")
    own = _rules(rules or [], apps or [], look=not no_rules)
    roots = _source_roots(source_roots or [])
    kept = keeper(output)
    options = Options(timeout, native, variables, 2.0 if resolve else 0.0)
    say = partial(print, file=sys.stderr)
    try:
        taken = live.take_all(find(targets or [], everything), count, interval, options, kept, say, _complain)
    except live.Interrupted as stopped:
        say(f"threaddump: interrupted; {len(stopped.done)} dump{'s' * (len(stopped.done) != 1)} complete and kept")
        raise typer.Exit(INTERRUPTED) from None
    if not taken:
        raise typer.Exit(UNUSABLE)
    if not analyzing or output == "-":
        return
    report = analyze_sources(taken, lambda _, error: _complain(error), own, stuck_after, roots)
    with _opened(None) as out:
        _write(report, out, form, top)
    raise typer.Exit(_exit_code(report, fail_on, strict=False))


@app.command(
    short_help="Look at a running process again and again; act when it gets bad.",
    epilog="\b\n"
    "Exit codes:\n"
    "    0  ended by Ctrl-C, after --looks, or with the process\n"
    "    2  bad usage, or no dump could be taken",
)
def watch(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A pid, or a part of a process's name or command.")],
    every: Annotated[float, typer.Option("--every", parser=duration, metavar="TIME", help="From look to look.")] = 10.0,
    stuck_after: StuckAfterOption = 5.0,
    when: Annotated[
        str | None, typer.Option("--when", metavar="CONDITION", help="As in 'external-call >= 50%' or 'oldest > 30'.")
    ] = None,
    held: Annotated[
        float, typer.Option("--for", parser=duration, metavar="TIME", help="For so long the condition has to hold.")
    ] = 10.0,
    bundle: Annotated[
        Path, typer.Option("--bundle", metavar="DIR", help="Where the dump and its reports are then written.")
    ] = Path(),
    run: Annotated[
        str | None, typer.Option("--run", metavar="COMMAND", help="Then run this, with the bundle's folder behind it.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="Export metrics for Prometheus there.")
    ] = None,
    looks: Annotated[
        int | None, typer.Option("--looks", min=1, metavar="N", help="End after so many; else with Ctrl-C.")
    ] = None,
    native: Annotated[bool, typer.Option("--native", help="Python: with the frames of C.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", parser=duration, metavar="TIME", help="Longest wait for a dump.")
    ] = 30.0,
    rules: RulesOption = None,
    no_rules: NoRulesOption = False,
    apps: AppOption = None,
    source_roots: SourceRootOption = None,
) -> None:
    """Look at a running process again and again, and show what its threads do and which have been busy for long.

    Dumps take at most a twentieth of the time: while one takes long, the looks come less often. What it costs stands on
    the screen. In a pipe each look is one line.

    \b
    Conditions compare kinds (external-call, pool-wait, lock-wait, running, idle...),
    threads, busy (threads busy for longer than --stuck-after), oldest (seconds),
    cpu (percent of a processor) and deadlocked, joined by "and".

    \b
    Examples:
      threaddump watch orders
      threaddump watch 4711 --when 'external-call >= 50% and oldest > 30' --for 20s --bundle incidents/
      threaddump watch 4711 --listen 127.0.0.1:9477
    """
    from threaddump.capture import Options
    from threaddump.capture.targets import find
    from threaddump.watching.conditions import Trigger, condition
    from threaddump.watching.loop import Watch
    from threaddump.watching.loop import watch as watch_process
    from threaddump.watching.observe import Observer

    trigger = Trigger(condition(when), held) if when is not None else None
    found = find([target], everything=False)
    if len(found) > 1:
        pids = ", ".join(str(each.pid) for each in found[:5])
        raise InputError(f"{target} means {len(found)} processes: {pids}", f"threaddump watch {found[0].pid}")
    own = _rules(rules or [], apps or [], look=not no_rules)
    roots = _source_roots(source_roots or [])
    metrics = None
    if listen is not None:
        from threaddump.watching.metrics import Metrics, address_of

        metrics = Metrics(*address_of(listen))
    observer = Observer(stuck_after, own, roots)
    watched = Watch(found[0], every, observer, Options(timeout, native), trigger, bundle, run, metrics, looks)
    say = partial(print, file=sys.stderr)
    try:
        with _opened(None) as out:
            color = _screen(out)[1]
            cost = watch_process(watched, out, width=lambda: _screen(out)[0], color=color, say=say, complain=_complain)
    finally:
        if metrics is not None:
            metrics.close()
    say(f"threaddump: {cost.words()}")
    if not cost.looks:
        raise typer.Exit(UNUSABLE)


@app.command(
    short_help="Say what a finding means, or why a thread got its kind.",
    epilog="\b\n"
    "Exit codes:\n"
    "    0  explained\n"
    "    2  an unknown id, no such thread, or several of them\n"
    "  130  interrupted",
)
def explain(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID | FILE...]",
            help="A finding's or a catalog entry's id; with --thread or --line dump files, - or nothing for "
            "standard input.",
        ),
    ] = None,
    thread: Annotated[
        str | None,
        typer.Option("--thread", "-t", metavar="NAME", help="Explain this thread: its name, or a part only it has."),
    ] = None,
    line: Annotated[
        int | None,
        typer.Option("--line", "-l", min=1, metavar="N", help="Explain the thread whose entry has input line N."),
    ] = None,
    rules: RulesOption = None,
    no_rules: NoRulesOption = False,
    apps: AppOption = None,
    source_roots: SourceRootOption = None,
) -> None:
    """Say what a finding means, or why a thread got its kind.

    Without anything it lists the findings. Of a finding it tells what triggers it, how severe it is when, what to do
    and what it does not prove; of a catalog entry what it matches, and the timeouts and pools of its library; of a
    thread which frames and which entry decided, and why the others lost.

    \b
    Examples:
      threaddump explain
      threaddump explain hot-external-call
      threaddump explain jvm.pool.hikari
      threaddump explain --thread http-exec-49 dump.txt
      threaddump explain --line 1845 dump.txt
    """
    from threaddump import explain as explained

    if thread is None and line is None:
        if len(names or []) > 1:
            raise InputError(f"{len(names or [])} ids: one at a time", f"threaddump explain {(names or [])[0]}")
        answer = explained.id_answer(names[0]) if names else explained.list_lines
    else:
        own = _rules(rules or [], apps or [], look=not no_rules)
        roots = _source_roots(source_roots or [])
        sources = expand(names or [])
        gc.disable()
        try:
            answer = explained.thread_answer(*explained.find_thread(sources, thread, line, _complain), own, roots)
        except explained.AmbiguousError as error:
            print(f"threaddump: {error}", *error.lines, f"  try: {error.hint}", sep="\n", file=sys.stderr)
            raise typer.Exit(UNUSABLE) from None
    with _opened(None) as out:
        explained.write(answer, out, *_screen(out))


@app.command(
    name="formats",
    short_help="List what can be read, and how to take it.",
    epilog="\b\nExit codes:\n    0  listed\n    2  bad usage",
)
def list_formats(
    form: Annotated[ListFormat, typer.Option("--format", "-f", help="Form of the list.")] = ListFormat.terminal,
) -> None:
    """List the formats that can be read, by runtime, each with the command that takes such a dump.

    \b
    Examples:
      threaddump formats
      threaddump formats --format json
    """
    from threaddump import formats

    with _opened(None) as out:
        if form is ListFormat.json:
            formats.write_json(out)
        else:
            from threaddump.explain import write

            write(formats.lines, out, *_screen(out))


def _rules(named: list[Path], apps: list[str], look: bool) -> Rules | None:
    """The user's own rules. Where there are none, nothing is imported for them."""
    found = None
    if look:
        places = [RULES, os.path.join(config_folder(sys.platform), "threaddump", RULES)]
        found = next(filter(os.path.isfile, places), None)
    if found is None and not named and not apps:
        return None
    from threaddump.rules import load

    return load(found, named, apps)


def _source_roots(named: list[str]) -> tuple[str, ...]:
    for root in named:
        if not os.path.isdir(root):
            raise InputError(f"--source-root {root}: no such folder", "name the folder that your packages stand in")
    return tuple(named)


def config_folder(platform: str) -> str:
    """Where the user's programs keep their configuration."""
    home = os.path.expanduser("~")
    if platform == "win32":
        return os.environ.get("APPDATA") or os.path.join(home, "AppData", "Roaming")
    if platform == "darwin":
        return os.path.join(home, "Library", "Application Support")
    xdg = os.environ.get("XDG_CONFIG_HOME", "")
    return xdg if os.path.isabs(xdg) else os.path.join(home, ".config")


def _exit_code(report: Report, fail_on: FailOn | None, strict: bool) -> int:
    if fail_on is not None:
        worst = min((SEVERITIES.index(finding.severity) for finding in report.findings), default=len(SEVERITIES))
        if worst <= SEVERITIES.index(fail_on.value):
            return FAILED_ON
    if strict:
        if report.problems or any(dump.problems or dump.unread_lines or dump.truncated for dump in report.dumps):
            return PROBLEMS
    return OK


def _write(report: Report, out: TextIO, form: Format, top: int) -> None:
    if form is Format.json:
        from threaddump.reports import json

        json.write(report, out)
    elif form is Format.markdown:
        from threaddump.reports import markdown

        markdown.write(report, out, top=top)
    else:
        from threaddump.reports import terminal

        width, color = _screen(out)
        terminal.write(report, out, width=width, color=color, top=top)


def _screen(out: TextIO) -> tuple[int, bool]:
    """How wide the output is, and whether it shows colours."""
    on_terminal = out.isatty()
    color = on_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    fallback = (PIPE_WIDTH, 24) if not on_terminal else (80, 24)
    return shutil.get_terminal_size(fallback).columns, color


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears only when the report is complete."""
    if path is None:
        if sys.stdout is None:
            raise InputError("standard output is closed", "write the report to a file with --output")
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader of our output (head, less) has gone: nothing is wrong. What is still buffered goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise InputError(
                f"the report cannot be written: {error.strerror or error}", "write it to a file with --output"
            ) from error
        return
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("w", encoding="utf-8", errors="replace", newline="\n") as out:
            yield out
        partial.replace(path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror or error}", "choose another file with --output"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _complain(error: InputError) -> None:
    print(f"threaddump: {_harmless(str(error))}" + (f"\n  try: {error.hint}" if error.hint else ""), file=sys.stderr)


def _harmless(text: str) -> str:
    """A file's name may hold control characters: none of them reaches the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def main() -> None:
    """Entry point of the console script."""
    try:
        app(prog_name="threaddump", standalone_mode=True)
    except InputError as error:
        _complain(error)
        sys.exit(UNUSABLE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
