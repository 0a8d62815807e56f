"""What several dumps of one process say together, as lines that the terminal and Markdown share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from threaddump.report import Series, span_words
from threaddump.reports import words
from threaddump.reports.text import Line, cells, clean, plural, shorten

_COUNT = 6
_PLACES = 10
_DUMPS_SHOWN = 12


def title(series: Series) -> str:
    """``OpenJDK 17.0.15, pid 7: 3 dumps within 9.6 s (d1, d2, d3)``."""
    who = [clean(part) for part in (series.service, series.instance) if part]
    runtime = " ".join(clean(part, 40) for part in (series.runtime_name, series.version) if part) or series.family
    pid = [f"pid {series.pid}"] if series.pid is not None else []
    span = f" within {span_words(1000 * series.span_s)}" if series.span_s is not None else ""
    shown = ", ".join(series.dumps[:_DUMPS_SHOWN]) + ", ..." * (len(series.dumps) > _DUMPS_SHOWN)
    return f"{', '.join([*who, runtime, *pid])}: {plural(len(series.dumps), 'dump')}{span} ({shown})"


def summary(series: Series) -> str:
    """``12 stuck, 6 behind "stuck-1" · 10 progressing · 8 idle``."""
    behind = Counter(thread.behind for thread in series.stuck if thread.behind is not None)
    stuck = sum(thread.behind is None for thread in series.stuck)
    parts = [f"{stuck} stuck" + "".join(f', {n} behind "{clean(who, 60)}"' for who, n in behind.most_common(3))]
    parts += [f"{len(series.spinning)} spinning"] * bool(series.spinning)
    parts.append(f"{series.progressing} progressing")
    parts += [f"{series.resting} idle"] * bool(series.resting)
    parts += [f"{series.waiting} asleep or listening"] * bool(series.waiting)
    parts += [f"{series.appeared} appeared, {series.gone} gone"] * bool(series.appeared or series.gone)
    return " · ".join(parts)


def caveats(series: Series) -> list[str]:
    """What limits what can be said."""
    notes = [clean(note) for note in series.notes]
    if len(series.dumps) < 3:
        notes.append("two dumps show what stands still, three show what is stuck")
    return notes


def table(series: Series, width: int) -> Iterator[Line]:
    """How many threads are blocked in each place, one column a dump."""
    shown = series.dumps[-_DUMPS_SHOWN:]
    rows = [place for place in series.places if any(place.counts)]
    if not rows:
        return
    room = width - _COUNT * len(shown)
    head = "THREADS BY PLACE"
    columns = "".join(clean(dump, _COUNT - 1).rjust(_COUNT) for dump in shown)
    yield [(head, "heading"), (" " * max(room - cells(head), 1), ""), (columns, "dim")]
    for place in rows[:_PLACES]:
        where = words.without_packages(clean(place.caller or place.blocking_frame or ""))
        label = f"  {words.kind_words(place.kind):<15}{where}"
        label = shorten(label, room - 1)
        numbers = "".join(str(count).rjust(_COUNT) for count in place.counts[-_DUMPS_SHOWN:])
        yield [(label, ""), (" " * max(room - cells(label), 1), ""), (numbers, "count")]
    if len(rows) > _PLACES:
        yield [(f"  ... {plural(len(rows) - _PLACES, 'more place')}", "dim")]
    for name, counts in list(series.growth.items())[:3]:
        if abs(counts[-1] - counts[0]) > 1:
            label = shorten(f"  all {clean(name, 60)}* threads", room - 1)
            numbers = "".join(str(count).rjust(_COUNT) for count in counts[-_DUMPS_SHOWN:])
            yield [(label, "dim"), (" " * max(room - cells(label), 1), ""), (numbers, "dim")]
