"""Fuzzes the parsers and the intake, guided by coverage (atheris), and looks for input that takes too long.

    pip install 'atheris>=2.3' && python benchmarks/fuzz.py hotspot gdb-py --seconds 600 --jobs 2

A target is the FORMAT of a parser, or ``intake``: everything from bytes to dumps. Checked is what tests/soundness.py
says, not only that nothing raises. Seeds are pieces of the fixtures, words are those of the parser's own source. A
finding does not end the run: one input of each kind is kept in the folder of the target, with what was raised.

Afterwards the inputs of the corpus, and single lines of them, are read 8 and 64 times as long. CPU time is measured
(the least of several runs) and told where 8 times as much takes far more than 8 times as long.
"""

from __future__ import annotations

import argparse
import ast
import bz2
import gzip
import io
import lzma
import os
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import cast

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
OUT = Path(tempfile.gettempdir()) / "threaddump-fuzz"

INTAKE = "intake"
LENGTH = 8192
"""Bytes of an input."""
PIECE = 4096
SEEDS = 200
TIMEOUT_S = 20
MEMORY_MB = 1500
SUPER_LINEAR = 20.0
"""Times the CPU time that 8 times as much input may take: linear is 8, quadratic 64."""
NOTABLE_S = 0.1
"""Shorter runs say nothing about growth."""

OS_FACTS = (
    b'# threaddump-os: {"schema":1,"taken_at":"2026-11-25T09:50:45.058Z","pid":13915,"host":"orders-4"}\n'
    b'# threaddump-os: {"threads":[{"tid":13956,"cpu_ms":0,"call":"recvfrom","silent_ms":1544}]}\n',
)
"""No fixture has them alone."""

Read = Callable[[bytes], object]


def main() -> None:
    options = _options()
    if options.child:
        _fuzz(options.target[0], options.out / options.target[0], options.seconds, options.growth)
        return
    targets = options.target or [*_formats(), INTAKE]
    running: list[tuple[str, float, subprocess.Popen[bytes]]] = []
    waiting = list(targets)
    failed = False
    while waiting or running:
        while waiting and len(running) < options.jobs:
            name = waiting.pop(0)
            running.append((name, time.monotonic(), _start(name, options)))
        for entry in list(running):
            name, started, process = entry
            if process.poll() is not None:
                running.remove(entry)
                failed |= _tell(name, options.out / name, time.monotonic() - started)
        time.sleep(0.5)
    sys.exit(1 if failed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="*", help="FORMAT of a parser, or intake (default: all)")
    parser.add_argument("--seconds", type=int, default=600, help="of fuzzing for each target (default 600)")
    parser.add_argument("--growth", type=int, default=60, help="seconds for slow input, afterwards (default 60)")
    parser.add_argument("--jobs", type=int, default=1, help="targets at the same time (default 1)")
    parser.add_argument(
        "--out", type=Path, default=OUT, metavar="DIR", help="corpus and findings (default: %(default)s)"
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _start(name: str, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    folder = options.out / name
    folder.mkdir(parents=True, exist_ok=True)
    times = ["--seconds", str(options.seconds), "--growth", str(options.growth)]
    command = [sys.executable, __file__, "--child", *times, "--out", str(options.out), name]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def _tell(name: str, folder: Path, wall: float) -> bool:
    """Print a row about a run that has ended; whether it found anything."""
    log = (folder / "log").read_text("utf-8", "replace")
    done = re.findall(r"^Done (\d+) runs in (\d+) second", log, re.MULTILINE)
    status = re.findall(r"^#(\d+)\s.*?cov: (\d+) ft: (\d+) corp: (\d+)", log, re.MULTILINE)
    executions, seconds = done[-1] if done else (status[-1][0] if status else "0", f"{wall:.0f}, ended early")
    _, coverage, features, corpus = status[-1] if status else ("0", "0", "0", "0")
    findings = sorted(path.name for path in (folder / "findings").glob("*.txt"))
    findings += sorted(
        path.name for path in folder.glob("findings/*-*") if path.name.startswith(("timeout", "oom", "crash"))
    )
    slow = re.findall(r"^SUPER-LINEAR (.*)$", log, re.MULTILINE)
    print(
        f"{name:20} seconds {seconds:>4}  executions {executions:>8}  edges {coverage:>5}  features {features:>6}  "
        f"corpus {corpus:>5}  findings {len(findings)}  super-linear {len(slow)}",
        flush=True,
    )
    for line in (*findings, *slow):
        print(f"    {line}", flush=True)
    return bool(findings or slow or not done)


# --- one target


def _fuzz(name: str, folder: Path, seconds: int, growth: int) -> None:
    import atheris

    import soundness

    with atheris.instrument_imports(include=["threaddump_parsers", "threaddump"]):
        import threaddump.intake  # noqa: F401 - all that is fuzzed is imported here
    reads = _reader(name)
    corpus, findings = folder / "corpus", folder / "findings"
    for each in (corpus, findings):
        each.mkdir(parents=True, exist_ok=True)
    seeds = list(_seeds(name))
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    dictionary = folder / "words"
    dictionary.write_text("".join(f'"{_quoted(word)}"\n' for word in sorted(_words(name))), "ascii")
    rows = sorted({line for seed in seeds for line in seed.splitlines(keepends=True)})
    seen: set[str] = set()

    def one(raw: bytes) -> None:
        try:
            reads(raw)
        except Exception as error:  # noqa: BLE001 - whatever is raised is a finding
            _keep(findings, raw, error, seen)

    def mutate(raw: bytes, limit: int, seed: int) -> bytes:
        if seed % 2:
            return cast(bytes, atheris.Mutate(raw, limit))
        return soundness.mutated(raw, rows, random.Random(seed))[:limit]

    end = time.monotonic() + seconds
    options = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={seconds}",
        f"-max_len={LENGTH}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-timeout={TIMEOUT_S}",
        f"-dict={dictionary}",
        f"-artifact_prefix={findings}/",
        "-print_final_stats=1",
    ]
    # libFuzzer ends the process, so it runs in a child; what is slow is looked for afterwards, without instruments.
    pid = os.fork()
    if not pid:
        atheris.Setup(options, one, custom_mutator=mutate)
        atheris.Fuzz()
        os._exit(0)
    os.waitpid(pid, 0)
    print(f"ended {end - time.monotonic():+.0f} s before its time", flush=True)
    for told in _slow(_reader(name, checked=False), sorted(corpus.iterdir()), findings, limit_s=growth):
        print(f"SUPER-LINEAR {told}", flush=True)


def _reader(name: str, checked: bool = True) -> Read:
    """What is done with an input."""
    if name == INTAKE:
        from goldens import source
        from soundness import sound
        from threaddump import archives, intake

        def everything(raw: bytes) -> None:
            for text, dump in archives.from_each(source(raw), intake.dumps, lambda _, error: str(error)):
                str(text.label)
                sound([dump])

        return everything
    import soundness
    from threaddump_parsers.lines import Lines

    parser = _parser(name)
    if checked:
        return lambda raw: soundness.read(parser, raw)

    def plain(raw: bytes) -> None:
        lines = Lines(soundness.lines_of(raw))
        for number, line in lines:
            if parser.claims(line):
                lines.push_back((number, line))
                break
        for _ in parser.parse(lines):
            pass

    return plain


def _formats() -> list[str]:
    from threaddump_parsers import parsers

    return [parser.FORMAT for parser in parsers()]


def _parser(name: str) -> ModuleType:
    from threaddump_parsers import parsers

    found = [parser for parser in parsers() if name == parser.FORMAT]
    if not found:
        sys.exit(f"no parser has the format {name}; there are: {' '.join(_formats())} {INTAKE}")
    return cast(ModuleType, found[0])


def _keep(folder: Path, raw: bytes, error: Exception, seen: set[str]) -> None:
    """Keep the shortest input of each kind: the place where it was raised, and for an assertion which."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    kind = f"{type(error).__name__}-{Path(place.filename).stem}-{place.name.strip('<>')}-{place.lineno}"
    file = folder / f"{kind}.input"
    if kind not in seen or len(raw) < file.stat().st_size:
        seen.add(kind)
        file.write_bytes(raw)
        (folder / f"{kind}.txt").write_text("".join(traceback.format_exception(error)), "utf-8", "surrogateescape")


# --- seeds and words


def _seeds(name: str) -> Iterator[bytes]:
    """Pieces of the fixtures which the parser reads; for the intake as logs, editors and archives deliver them."""
    import goldens

    chance = random.Random(name)
    found: list[bytes] = []
    for fixture in goldens.fixtures():
        raw = goldens.content(fixture)
        if name == INTAKE:
            found += _delivered(raw, chance)
        else:
            found += _pieces(raw, _parser(name), chance)
    yield from chance.sample(found, min(SEEDS, len(found)))
    if name == "os-facts":
        yield b"".join(OS_FACTS)


def _pieces(raw: bytes, parser: ModuleType, chance: random.Random) -> Iterator[bytes]:
    at = 0
    places: list[int] = []
    for line in raw.splitlines(keepends=True):
        if line[0] in parser.INITIALS and parser.claims(line):
            places.append(at)
        at += len(line)
    if not places:
        return
    first = places[0]
    yield raw[first : first + PIECE]
    yield raw[max(0, first - 200) : first + PIECE // 4]
    yield raw[first : first + PIECE // 8] + raw[-PIECE // 2 :]
    for place in chance.sample(places, min(3, len(places))):
        yield raw[place : place + chance.choice((PIECE // 8, PIECE // 2))]


def _delivered(raw: bytes, chance: random.Random) -> Iterator[bytes]:
    from test_wrappers import WRAPPERS
    from variants import SAME

    lines = raw[: 16 * PIECE].splitlines(keepends=True)
    for name in chance.sample(sorted(WRAPPERS.keys() - {"logger-first-line"}), 2):  # that is of some formats only
        yield b"".join(WRAPPERS[name](lines))[:PIECE]
    raw = raw[: PIECE // 2]
    yield SAME[chance.choice(sorted(SAME))](raw)
    packed = io.BytesIO()
    match chance.randrange(5):
        case 0:
            with zipfile.ZipFile(packed, "w") as archive:
                archive.writestr("dump.txt", raw)
        case 1:
            with tarfile.open(fileobj=packed, mode="w") as tar:
                member = tarfile.TarInfo("dump.txt")
                member.size = len(raw)
                tar.addfile(member, io.BytesIO(raw))
        case 2:
            packed.write(gzip.compress(raw))
        case 3:
            packed.write(bz2.compress(raw))
        case _:
            packed.write(lzma.compress(raw))
    yield packed.getvalue()


def _words(name: str) -> set[bytes]:
    """The literal text in the module's strings and patterns."""
    if name == INTAKE:
        from threaddump import archives, intake, prefixes, wrappers

        modules: Iterable[ModuleType] = (archives, intake, prefixes, wrappers)
    else:
        modules = (_parser(name),)
    words: set[bytes] = set()
    for module in modules:
        tree = ast.parse(Path(module.__file__ or "").read_text("utf-8"))
        statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in statements:
                raw = node.value if isinstance(node.value, bytes) else node.value.encode("utf-8", "replace")
                words.update(raw[at : at + 40] for at in (0,) if raw)
                words.update(word for word in re.split(rb"\\.|[\[\](){}?*+|^$.]+", raw) if 2 < len(word) <= 40)
    return words


def _quoted(word: bytes) -> str:
    return "".join(chr(c) if 32 <= c < 127 and chr(c) not in '"\\' else f"\\x{c:02x}" for c in word)


# --- growth


def _slow(read: Read, inputs: list[Path], folder: Path, limit_s: float) -> Iterator[str]:
    """What takes far more than 8 times as long when it is 8 times as long."""
    chance = random.Random(1)
    chance.shuffle(inputs)
    end = time.monotonic() + limit_s
    looked = 0
    for path in inputs:
        raw = path.read_bytes()
        for way, longer in _longer(raw, chance):
            if time.monotonic() > end:
                print(f"growth: looked at {looked} of {len(inputs)} inputs", flush=True)
                return
            growth = _growth(read, longer, 1)
            if growth > SUPER_LINEAR and (growth := _growth(read, longer, 4)) > SUPER_LINEAR:
                (folder / f"slow-{path.name[:12]}-{way}.input").write_bytes(longer(1))
                yield f"{growth:.0f} times as long: {way} of {path.name}"
        looked += 1
    print(f"growth: looked at all {looked} inputs", flush=True)


def _longer(raw: bytes, chance: random.Random) -> Iterator[tuple[str, Callable[[int], bytes]]]:
    """The input so many times over; one of its lines; and what stands in one of its lines, or at its end."""
    lines = raw.splitlines(keepends=True)
    if not lines:
        return
    ended = raw if raw.endswith(b"\n") else raw + b"\n"
    yield "whole", lambda times: ended * times
    first, at = lines[0], chance.randrange(len(lines))
    line = lines[at]
    yield "line", lambda times: first + line * times * max(1, 2000 // len(line))
    start = chance.randrange(len(line))
    end = min(len(line), start + chance.randint(1, 12))
    head, middle, tail = b"".join(lines[:at]) + line[:start], line[start:end].strip(b"\r\n") or b" ", line[end:]
    behind = b"".join(lines[at + 1 :])
    yield "text", lambda times: head + middle * times * max(1, 500 // len(middle)) + tail + behind


def _growth(read: Read, longer: Callable[[int], bytes], rounds: int) -> float:
    """CPU time of 64 times the input to that of 8 times; 0 where it is too short to tell."""
    large = longer(64)
    if _seconds(read, large, 1) < NOTABLE_S:
        return 0.0
    return _seconds(read, large, rounds) / max(_seconds(read, longer(8), rounds + 2), NOTABLE_S / 64)


def _seconds(read: Read, raw: bytes, rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        try:
            read(raw)
        except Exception:  # noqa: BLE001 - told where it was found
            return 0.0
        best = min(best, time.process_time() - start)
    return best


if __name__ == "__main__":
    main()
