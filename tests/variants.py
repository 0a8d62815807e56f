"""The same dump as it arrives in practice: other line ends and encodings, within a log, coloured, twice, cut short."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator

LOG = (
    b"2026-11-27 00:01:07,123 INFO  [checkout-7] com.shop.Checkout - order 876 placed (3 items)\n"
    b'127.0.0.1 - - [27/Nov/2026:00:01:07 +0000] "GET /cart HTTP/1.1" 200 512\n'
    b"\n"
    b'WARN: stock is low: {"sku": "A-1", "left": [1, 2]}\n'
)


def _lines_end_in(end: bytes) -> Callable[[bytes], bytes]:
    return lambda raw: raw.replace(b"\r\n", b"\n").replace(b"\n", end)


def _in_utf16(mark: bytes) -> Callable[[bytes], bytes]:
    return lambda raw: mark + raw.decode("utf-8", "replace").encode("utf-16-le")


def _coloured(raw: bytes) -> bytes:
    """Lines that are not indented are headers: bold and in colour, as a pager or ``script`` saves them."""
    lines = raw.split(b"\n")
    return b"\n".join(
        b"\x1b[1;36m" + line.removesuffix(b"\r") + b"\x1b[0m" + (b"\r" if line.endswith(b"\r") else b"")
        if line[:1].strip()
        else line
        for line in lines
    )


def _in_a_log(raw: bytes) -> bytes:
    return LOG + raw + (b"" if raw.endswith(b"\n") else b"\n") + LOG


def _twice(raw: bytes) -> bytes:
    return raw + (b"" if raw.endswith(b"\n") else b"\n") + LOG + raw


SAME: dict[str, Callable[[bytes], bytes]] = {
    "crlf": _lines_end_in(b"\r\n"),
    "cr-cr-lf": _lines_end_in(b"\r\r\n"),  # a terminal's output that passed through a tool which ends lines itself
    "utf-16-with-mark": _in_utf16(codecs.BOM_UTF16_LE),  # PowerShell's redirection
    "utf-16-without-mark": _in_utf16(b""),
    "utf-8-with-mark": lambda raw: codecs.BOM_UTF8 + raw,
    "no-final-line-end": lambda raw: raw.rstrip(b"\r\n"),
    "in-a-log": _in_a_log,
    "twice": _twice,
    "coloured": _coloured,
}
"""Variants that have to be read like the original; ``twice`` gives every dump two times."""

SENSELESS_FOR_JSON = {
    # A JSON document is saved by a program: nothing else writes into it and no terminal colours its lines. (A log
    # around it would be read, but what a line of JSON looks like in a log is the log's business.)
    "in-a-log",
    "coloured",
}


def cuts(raw: bytes) -> Iterator[int]:
    """Where to cut: every 7th byte of what is small, some 40 places spread over what is big."""
    step = max(7, len(raw) // 250) if len(raw) < 20_000 else len(raw) // 40
    start = 7 if len(raw) < 20_000 else step // 2
    yield from range(start, len(raw), step)
