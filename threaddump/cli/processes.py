"""Commands on live processes: ps, capture, watch."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from threaddump.cli.application import INTERRUPTED, UNUSABLE, app
from threaddump.cli.options import (
    AppOption,
    FailOn,
    Format,
    ListFormat,
    NoRulesOption,
    RulesOption,
    SourceRootOption,
    StuckAfterOption,
    TopOption,
    checked_roots,
    duration,
    own_rules,
)
from threaddump.cli.output import complain, exit_code, opened, screen, write_report
from threaddump.sources import InputError


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
    with opened(None) as out:
        if form is ListFormat.json:
            import json
            from dataclasses import asdict

            json.dump([asdict(row) for row in rows], out, indent=1)
            out.write("\n")
        else:
            width, color = screen(out)
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
    top: TopOption = 10,
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
    own = own_rules(rules or [], apps or [], look=not no_rules)
    roots = checked_roots(source_roots or [])
    kept = keeper(output)
    options = Options(timeout, native, variables, 2.0 if resolve else 0.0)
    say = partial(print, file=sys.stderr)
    try:
        taken = live.take_all(find(targets or [], everything), count, interval, options, kept, say, complain)
    except live.Interrupted as stopped:
        say(f"threaddump: interrupted; {len(stopped.done)} dump{'s' * (len(stopped.done) != 1)} complete and kept")
        raise typer.Exit(INTERRUPTED) from None
    if not taken:
        raise typer.Exit(UNUSABLE)
    if not analyzing or output == "-":
        return
    report = analyze_sources(taken, lambda _, error: complain(error), own, stuck_after, roots)
    with opened(None) as out:
        write_report(report, out, form, top)
    raise typer.Exit(exit_code(report, fail_on, strict=False))


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
    own = own_rules(rules or [], apps or [], look=not no_rules)
    roots = checked_roots(source_roots or [])
    metrics = None
    if listen is not None:
        from threaddump.watching.metrics import Metrics, address_of

        metrics = Metrics(*address_of(listen))
    observer = Observer(stuck_after, own, roots)
    watched = Watch(found[0], every, observer, Options(timeout, native), trigger, bundle, run, metrics, looks)
    say = partial(print, file=sys.stderr)
    try:
        with opened(None) as out:
            color = screen(out)[1]
            cost = watch_process(watched, out, width=lambda: screen(out)[0], color=color, say=say, complain=complain)
    finally:
        if metrics is not None:
            metrics.close()
    say(f"threaddump: {cost.words()}")
    if not cost.looks:
        raise typer.Exit(UNUSABLE)
