"""Times whole processes: `threaddump analyze FILE` against `tdscope summary FILE`. See README.md beside this file."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import generate

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT / "fixtures" / "black-friday" / "orders.jcmd.txt"
CACHE = Path(tempfile.gettempdir()) / "threaddump-bench"

TEXT, JSON, PEER = "threaddump, text", "threaddump, JSON", "tdscope summary"
VERSUS_PEER = ["dump-1.6MB", "dump-16MB", "series-100MB", "process-100MB", "distinct-100MB"]
ONE, TWO = "summarize, 1 process", "summarize, 2"
HOSTILE = [("line-10MB", "line-20MB"), ("threads-500k", "threads-1M"), ("no-newline-10MB", "no-newline-20MB")]


@dataclass(slots=True)
class Runs:
    """What was measured of one command on one input."""

    walls: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    code: int = 0

    @property
    def wall(self) -> float:
        return median(self.walls)

    @property
    def peak(self) -> float:
        return median(self.peaks)


@dataclass(slots=True)
class Input:
    """One input file."""

    name: str
    path: Path
    size: int
    threads: int

    @property
    def mb(self) -> float:
        return self.size / 1e6


Results = dict[str, dict[str, Runs]]
"""Input's name -> command's name -> what was measured."""


def main() -> None:
    options = _options()
    threaddump, tdscope = _command(options.threaddump, "threaddump"), _command(options.tdscope, "tdscope")
    if not threaddump:
        sys.exit("threaddump is not installed beside this Python: pip install -e . (or pass --threaddump PATH)")
    if not tdscope:
        print("tdscope is not installed beside this Python (pip install tdscope==0.1.0): no ratios\n")
    wanted = options.case or [*VERSUS_PEER, *(name for pair in HOSTILE for name in pair)]
    inputs = make_inputs(options.recorded, wanted)

    launcher = Launcher()
    results: Results = {}
    results["start-up"] = measure(
        launcher, {"python -c pass": [sys.executable, "-c", "pass"], "--help": [threaddump, "--help"]}, options.rounds
    )
    for name in VERSUS_PEER:
        if name in inputs:
            file = str(inputs[name].path)
            commands = {TEXT: [threaddump, "analyze", file], JSON: [threaddump, "analyze", "--format", "json", file]}
            if tdscope:
                commands[PEER] = [tdscope, "summary", "--quiet", file]
            results[name] = measure(launcher, commands, options.rounds, name)
    for pair in HOSTILE:
        for name in pair:
            if name in inputs:
                commands = {TEXT: [threaddump, "analyze", str(inputs[name].path)]}
                results[name] = measure(launcher, commands, min(options.rounds, 3), name, codes=(0, 2, 3))

    for name in generate.FLEETS:
        if name in inputs:
            commands = {
                label: [threaddump, "summarize", str(inputs[name].path), "--processes", str(count), "--format", "json"]
                for label, count in ((ONE, 1), (TWO, 2))
            }
            results[name] = measure(launcher, commands, min(options.rounds, 3), name)

    launcher.close()
    _progress("")
    print_table(inputs, results)
    print_fleets(inputs, results)
    print_hostile(inputs, results)
    print_goals(inputs, results)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds of each command, interleaved (default 7)")
    parser.add_argument(
        "--case", action="append", choices=[*generate.INPUTS, *generate.FLEETS], help="only this input; may be repeated"
    )
    parser.add_argument(
        "--from",
        dest="recorded",
        type=Path,
        default=RECORDED,
        metavar="FILE",
        help="the recorded dump that inputs are made from",
    )
    parser.add_argument("--threaddump", help="the command to time (default: the one beside this Python)")
    parser.add_argument("--tdscope", help="the command to compare with (default: the one beside this Python)")
    return parser.parse_args()


def _command(asked: str | None, name: str) -> str | None:
    """The command asked for, or the console script of the environment that runs this; never one of another."""
    return shutil.which(asked) if asked else shutil.which(name, path=str(Path(sys.executable).parent))


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


# --- inputs


def make_inputs(source: Path, names: Iterable[str]) -> dict[str, Input]:
    """The inputs, made or found in the cache; a cached file whose size is not the noted one is made again."""
    # In a child, which gives the memory back.
    made = subprocess.run([sys.executable, __file__, "--make", str(source), *names], check=True, stdout=subprocess.PIPE)
    return {name: Input(name, Path(path), size, threads) for name, path, size, threads in json.loads(made.stdout)}


def _make(source: Path, names: Sequence[str]) -> None:
    """Make the inputs and print where they are, as JSON."""
    if not source.is_file():
        sys.exit(f"{source} does not exist; pass a recorded HotSpot dump with --from FILE")
    key = hashlib.sha256(source.read_bytes() + Path(generate.__file__).read_bytes()).hexdigest()[:12]
    folder = CACHE / key
    folder.mkdir(parents=True, exist_ok=True)
    index_file = folder / "index.json"
    index: dict[str, list[int]] = json.loads(index_file.read_bytes()) if index_file.is_file() else {}
    recorded: generate.Recorded | None = None
    for name in names:
        path = _path(folder, name)
        size, _ = index.get(name, (-1, 0))
        if path.exists() and _size(path) == size:
            continue
        _progress(f"making {name}")
        recorded = recorded or generate.Recorded.read(source)
        size = threads = 0
        part = path.with_suffix(".part")
        with ExitStack() as opened:
            if name in generate.FLEETS:
                path.mkdir(exist_ok=True)
                blocks = generate.FLEETS[name](recorded)
            else:
                blocks = generate.INPUTS[name](recorded)
                file = opened.enter_context(part.open("wb"))
            for number, block in enumerate(blocks):
                if name in generate.FLEETS:
                    size += (path / f"{number:04}.txt").write_bytes(block)
                else:
                    size += file.write(block)
                threads += block.count(b'\n"') + block.startswith(b'"')
        if name not in generate.FLEETS:
            part.replace(path)
        index[name] = [size, threads]
        index_file.write_text(json.dumps(index), encoding="utf-8")
    print(json.dumps([(name, str(_path(folder, name)), *index[name]) for name in names]))


def _path(folder: Path, name: str) -> Path:
    return folder / (name if name in generate.FLEETS else f"{name}.txt")


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size


# --- measuring


def measure(
    launcher: Launcher,
    commands: dict[str, list[str]],
    rounds: int,
    label: str = "start-up",
    codes: Sequence[int] = (0,),
) -> dict[str, Runs]:
    """Run the commands in turn, `rounds` times, after one round that warms caches and does not count."""
    runs = {name: Runs() for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            _progress(f"{label}: round {turn} of {rounds}, {name}")
            wall, peak, code = launcher.run(command)
            if code not in codes:
                sys.exit(f"exit code {code}: {' '.join(command)}")
            if turn:
                runs[name].walls.append(wall)
                runs[name].peaks.append(peak)
                runs[name].code = code
    return runs


class Launcher:
    """The small process that starts the commands; see launcher.py."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("launcher.py")
        command = [sys.executable, "-I", "-S", str(script)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, command: list[str]) -> tuple[float, float, int]:
        """Wall seconds, peak MB of the largest process, and exit code of a command; its output goes nowhere."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print("\0".join(command), file=self._process.stdin, flush=True)
        wall, peak, code = self._process.stdout.readline().split()
        return float(wall), float(peak) / 1e6, int(code)

    def close(self) -> None:
        self._process.communicate()


# --- printing


def _row(cells: Sequence[object], widths: Sequence[int]) -> None:
    first, *rest = (
        str(cell).ljust(w) if not i else str(cell).rjust(w)
        for i, (cell, w) in enumerate(zip(cells, widths, strict=True))
    )
    print("  ".join([first, *rest]).rstrip())


def print_table(inputs: dict[str, Input], results: Results) -> None:
    """Medians, and ratios to tdscope on the same input."""
    widths = [15, 8, 8, 18, 9, 8, 9, 9, 9]
    _row(["input", "MB", "threads", "command", "wall s", "MB/s", "peak MB", "x wall", "x peak"], widths)
    for command, runs in results["start-up"].items():
        _row(["start-up", "", "", command, f"{runs.wall:.3f}", "", f"{runs.peak:.0f}", "", ""], widths)
    for name in VERSUS_PEER:
        peer = results.get(name, {}).get(PEER)
        for command, runs in results.get(name, {}).items():
            ratios = [f"{runs.wall / peer.wall:.2f}", f"{runs.peak / peer.peak:.2f}"] if peer else ["", ""]
            measured = [f"{runs.wall:.3f}", f"{inputs[name].mb / runs.wall:.0f}", f"{runs.peak:.0f}", *ratios]
            _row([name, f"{inputs[name].mb:.1f}", inputs[name].threads, command, *measured], widths)


def print_fleets(inputs: dict[str, Input], results: Results) -> None:
    """Many files: two processes against one. The peak is that of the largest process."""
    widths = [15, 8, 20, 9, 9, 9]
    for name in generate.FLEETS:
        if name in results:
            print()
            _row(["fleet", "MB", "command", "wall s", "peak MB", "x one"], widths)
            for label, runs in results[name].items():
                ratio = runs.wall / results[name][ONE].wall
                measured = [f"{runs.wall:.2f}", f"{runs.peak:.0f}", f"{ratio:.2f}"]
                _row([name, f"{inputs[name].mb:.0f}", label, *measured], widths)


def print_hostile(inputs: dict[str, Input], results: Results) -> None:
    """Hostile inputs, each with one of twice the size."""
    widths = [15, 8, 18, 9, 9, 6, 9]
    pairs = [pair for pair in HOSTILE if all(name in results for name in pair)]
    if not pairs:
        return
    print()
    _row(["hostile input", "MB", "command", "wall s", "peak MB", "exit", "x half"], widths)
    for half, whole in pairs:
        for name in (half, whole):
            runs = results[name][TEXT]
            ratio = f"{runs.wall / results[half][TEXT].wall:.2f}" if name == whole else ""
            _row(
                [name, f"{inputs[name].mb:.1f}", TEXT, f"{runs.wall:.3f}", f"{runs.peak:.0f}", runs.code, ratio], widths
            )


def print_goals(inputs: dict[str, Input], results: Results) -> None:
    """The goals and how far they are met: a statement, not a test."""
    print()
    widths = [62, 9, 9, 5]
    _row(["goal (for the worse of text and JSON)", "goal", "measured", ""], widths)

    def goal(text: str, limit: float, value: float | None, *, at_least: bool = False) -> None:
        if value is not None:
            met = value >= limit if at_least else value <= limit
            _row([text, f"{'>=' if at_least else '<='} {limit:.4g}", f"{value:.2f}", "met" if met else "MISS"], widths)

    def worst(name: str, quantity: str) -> float | None:
        ours = [getattr(runs, quantity) for command, runs in results.get(name, {}).items() if command in (TEXT, JSON)]
        return max(ours, default=None)

    def versus(name: str, quantity: str) -> float | None:
        peer, ours = results.get(name, {}).get(PEER), worst(name, quantity)
        return ours / getattr(peer, quantity) if peer and ours is not None else None

    goal("series-100MB: wall, x tdscope", 0.6, versus("series-100MB", "wall"))
    goal("series-100MB: peak memory, x tdscope", 0.5, versus("series-100MB", "peak"))
    goal("dump-1.6MB: wall, x tdscope", 2.2, versus("dump-1.6MB", "wall"))
    goal("later: series-100MB: wall, x tdscope", 0.5, versus("series-100MB", "wall"))
    goal("later, stretch: series-100MB: wall, x tdscope", 0.4, versus("series-100MB", "wall"))
    goal("later: dump-16MB: wall, x tdscope", 0.6, versus("dump-16MB", "wall"))
    goal("later: dump-1.6MB: wall, x tdscope", 2.0, versus("dump-1.6MB", "wall"))
    goal("later: series-100MB: peak MB", 90, worst("series-100MB", "peak"))
    for name in ("dump-1.6MB", "dump-16MB"):
        if name in results:
            goal(
                f"later: {name}: peak MB, 30 MB and 1 KB a thread",
                30 + inputs[name].threads / 1000,
                worst(name, "peak"),
            )
    normal, distinct = worst("series-100MB", "wall"), worst("distinct-100MB", "wall")
    if normal and distinct:
        rate = (inputs["distinct-100MB"].mb / distinct) / (inputs["series-100MB"].mb / normal)
        goal("later: distinct-100MB: MB/s, x series-100MB", 0.6, rate, at_least=True)
    for half, whole in HOSTILE:
        if half in results and whole in results:
            goal(f"later: {whole}: wall, x {half}", 2.3, results[whole][TEXT].wall / results[half][TEXT].wall)
    for name in generate.FLEETS:
        if name in results:
            one, two = results[name][ONE], results[name][TWO]
            goal(f"{name}: wall of two processes, x one", 0.6, two.wall / one.wall)
            goal(f"{name}: peak MB in all, at most (three of the largest)", 400, 3 * max(one.peak, two.peak))
    start = results["start-up"]
    goal("later: --help: wall, x python -c pass", 200 / 11, start["--help"].wall / start["python -c pass"].wall)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        _make(Path(sys.argv[2]), sys.argv[3:])
    else:
        main()
