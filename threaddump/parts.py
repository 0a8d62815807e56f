"""A summary as a file, schema ``threaddump/summary@1``: what it says for readers, and what it is made of for ``merge``.

Equal summaries give equal bytes. Every element of a list is one line, as in the JSON report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO, TypeVar

from threaddump.report import SEVERITIES, Severity
from threaddump.reports.json import encoded
from threaddump.sources import InputError, Source
from threaddump.summary import (
    Example,
    Failure,
    FindingSpread,
    Fleet,
    Library,
    Place,
    Runtime,
    Seen,
    Signature,
    SignatureSpread,
    Spread,
    Stuck,
    Summary,
    Told,
)

SCHEMA = "threaddump/summary@1"
_HINT = "make it with: threaddump summarize FILES --output part.json"
_Object = dict[str, Any]
T = TypeVar("T")


def write(summary: Summary, out: TextIO) -> None:
    """Write the summary as one JSON object."""
    import threaddump

    unicode = (getattr(out, "encoding", None) or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8")
    fleet = Fleet(summary)
    first, last = (fleet.timed[0], fleet.timed[-1]) if fleet.timed else (None, None)
    dumps, groups, threads = fleet.unlisted
    head: _Object = {
        "schema": SCHEMA,
        "version": threaddump.__version__,
        "complete": not summary.left,
        "inputs": {"read": summary.inputs, "left": summary.left},
        "dumps": len(fleet.dumps),
        "duplicates": fleet.duplicates,
        "incomplete": fleet.incomplete,
        "instances": fleet.instances,
        "first_taken_at": first and first.taken_at,
        "last_taken_at": last and last.taken_at,
        "threads": {"total": fleet.threads, "by_kind": fleet.threads_by_kind},
        "dumps_by_kind": fleet.dumps_by_kind,
        "unlisted": {"dumps": dumps, "groups": groups, "threads": threads},
        "failed": summary.failed,
        "reasons": summary.reasons,
        "rules": sorted(summary.rules),
    }
    table = sorted({stuck.signature for seen in summary.seen.values() for stuck in seen.stuck}, key=repr)
    number = {signature: index for index, signature in enumerate(table)}
    lists: list[tuple[str, Iterable[object]]] = [
        ("runtimes", ({**runtime._asdict(), "format": form, "dumps": n} for runtime, form, n in fleet.runtimes)),
        ("signatures", map(_signature, fleet.signatures)),
        ("findings", map(_finding, fleet.findings)),
        ("failures", (failure._asdict() for failure in summary.failures)),
    ]
    state: list[tuple[str, Iterable[object]]] = [
        ("signatures", table),
        ("examples", ([*told, *example] for told, example in sorted(summary.examples.items()))),
        ("dumps", (_seen(summary.seen[key], summary.times[key], number) for key in _sorted(summary))),
    ]
    out.write("{\n")
    out.write(",\n".join(f"{encoded(name, unicode)}: {encoded(value, unicode)}" for name, value in head.items()))
    for name, elements in lists:
        out.write(f',\n"{name}": ')
        _list(elements, out, unicode)
    out.write(',\n"merge": {')
    for number_of, (name, elements) in enumerate(state):
        out.write(f'{"," * bool(number_of)}\n"{name}": ')
        _list(elements, out, unicode)
    out.write("\n}\n}\n")


def _list(elements: Iterable[object], out: TextIO, unicode: bool) -> None:
    separator = "[\n"
    for element in elements:
        out.write(separator)
        out.write(encoded(element, unicode))
        separator = ",\n"
    out.write("[]" if separator == "[\n" else "\n]")


def _sorted(summary: Summary) -> list[tuple[str, tuple[str | None, ...]]]:
    return sorted(summary.seen, key=repr)


def _seen(seen: Seen, times: int, number: dict[Signature, int]) -> list[object]:
    stuck = [[number[each.signature], *each[1:]] for each in seen.stuck]
    return [times, *seen._replace(stuck=tuple(stuck))]  # type: ignore[arg-type]


def _signature(each: SignatureSpread) -> _Object:
    signature = each.signature
    return {
        **signature._asdict(),
        "integration": signature.integration and signature.integration._asdict(),
        "pool": signature.pool and signature.pool._asdict(),
        "severity": each.severity,
        **_spread(each.spread),
        "peers": [{"address": address, "threads": threads} for address, threads in each.peers],
    }


def _finding(each: FindingSpread) -> _Object:
    example = each.example
    return {
        "id": each.id,
        "severity": each.severity,
        **_spread(each.spread),
        "title": example and example.title,
        "detail": example and example.detail,
        "advice": list(example.advice) if example else [],
        "recovery": list(example.recovery) if example else [],
    }


def _spread(spread: Spread) -> _Object:
    return {
        "dumps": spread.dumps,
        "instances": spread.instances,
        "threads": {"total": spread.threads, "most": spread.most, "median": spread.median},
        "first": _place(spread.first),
        "last": _place(spread.last),
        "examples": [_place(place) for place in spread.examples],
    }


def _place(place: Place | None) -> _Object | None:
    return place and place._asdict()


# --- reading


def read(source: Source) -> Summary:
    """The summary of a file. Raises InputError where it is none."""
    with source.open() as stream:
        try:
            value = json.load(stream)
        except OSError as error:
            raise InputError(f"{source.label}: reading failed: {error}", _HINT) from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{source.label}: this is no JSON: {error}", _HINT) from error
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema != SCHEMA:
        what = f"a {schema}" if isinstance(schema, str) else "some other JSON"
        raise InputError(f"{source.label}: this is {what}, not a {SCHEMA}", _HINT)
    try:
        return _summary(value)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{source.label}: this is a {SCHEMA} that was changed: {error}", _HINT) from error


def _summary(value: _Object) -> Summary:
    summary = Summary()
    state = value["merge"]
    table = [_signature_of(row) for row in _rows(state["signatures"])]
    for times, *row in _rows(state["dumps"]):
        summary.add(_seen_of(row, table), _number(times))
    for id, severity, negative, title, detail, advice, recovery in _rows(state["examples"]):
        if type(negative) is not int:
            raise TypeError("a number is expected")
        steps = (tuple(map(_word, advice)), tuple(map(_word, recovery)))
        summary.example((_word(id), _severity(severity)), Example(negative, _word(title), _word(detail), *steps))
    summary.inputs = _number(value["inputs"]["read"])
    summary.left = _number(value["inputs"]["left"])
    summary.failed = _number(value["failed"])
    summary.failures = [
        Failure(_word(row["source"]), _word(row["reason"]), _word(row["hint"])) for row in _rows(value["failures"])
    ]
    summary.reasons = {_word(reason): _number(count) for reason, count in value["reasons"].items()}
    summary.rules = set(map(_word, _rows(value["rules"])))
    return summary


def _seen_of(row: Sequence[Any], table: Sequence[Signature]) -> Seen:
    seen = Seen._make(row)
    return Seen(
        _word(seen.fingerprint),
        _or_none(_word, seen.service),
        _or_none(_word, seen.instance),
        _or_none(_word, seen.host),
        _or_none(_number, seen.pid),
        _word(seen.source),
        _or_none(_word, seen.member),
        _number(seen.line),
        _or_none(_word, seen.taken_at),
        _word(seen.format),
        _runtime(seen.runtime),
        _number(seen.threads),
        tuple((_word(kind), _number(count)) for kind, count in seen.by_kind),
        bool(seen.incomplete),
        tuple(_stuck_of(each, table) for each in seen.stuck),
        _number(seen.more_groups),
        _number(seen.more_threads),
        tuple(
            Told(_word(id), _severity(severity), _number(threads), _number(line))
            for id, severity, threads, line in seen.told
        ),
    )


def _stuck_of(row: Sequence[Any], table: Sequence[Signature]) -> Stuck:
    number, threads, line, severity, peers = row
    return Stuck(
        table[_number(number)],
        _number(threads),
        _number(line),
        _or_none(_severity, severity),
        tuple((_word(address), _number(count)) for address, count in peers),
    )


def _signature_of(row: Sequence[Any]) -> Signature:
    family, kind, phase, integration, pool, caller, frame, timed = row
    if timed not in (True, False, None):
        raise TypeError(f"true, false or null is expected: {timed!r}")
    return Signature(
        _word(family),
        _word(kind),
        _or_none(_word, phase),
        _or_none(_library, integration),
        _or_none(_library, pool),
        _or_none(_word, caller),
        _or_none(_word, frame),
        timed,
    )


def _library(row: Sequence[Any]) -> Library:
    id, name, system = row
    return Library(_word(id), _word(name), _or_none(_word, system))


def _runtime(row: Sequence[Any]) -> Runtime:
    family, name, version = row
    return Runtime(_word(family), _or_none(_word, name), _or_none(_word, version))


def _rows(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("a list is expected")
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is expected: {value!r:.40}")
    return value


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"a number is expected: {value!r:.40}")
    return value


def _severity(value: Any) -> Severity:
    if value not in SEVERITIES:
        raise ValueError(f"no severity: {value!r:.40}")
    severity: Severity = value
    return severity


def _or_none(convert: Callable[[Any], T], value: Any) -> T | None:
    return None if value is None else convert(value)
