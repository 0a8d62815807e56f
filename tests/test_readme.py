"""README says the truth: its two copy-paste lines are well-formed, and the output it shows is what the command prints.

.ci/run runs the two lines literally, in a clean copy of the tree.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
if not README.exists():
    pytest.skip("README.md does not exist yet", allow_module_level=True)
TEXT = README.read_text(encoding="utf-8")

_spec = importlib.util.spec_from_file_location("ci_readme", ROOT / ".ci" / "readme.py")
assert _spec is not None
assert _spec.loader is not None
ci_readme = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ci_readme)

OUTPUTS = [
    (mark.removeprefix("output: "), body) for mark, body in ci_readme.blocks(TEXT) if mark.startswith("output: ")
]


def run_cli(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the console script prints for `threaddump ...`, in this process, 80 columns wide, without colours."""
    from threaddump.cli import main

    monkeypatch.chdir(ROOT)
    for name, value in {"COLUMNS": "80", "LINES": "24", "NO_COLOR": "1", "TERM": "dumb", "TZ": "UTC"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    code: object = None
    try:
        main()
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    assert code in (None, 0), err
    return out


def stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def test_try_line_installs_and_analyzes_a_fixture() -> None:
    line = ci_readme.line(TEXT, "try")
    assert "python3 -m venv" in line
    assert "pip install" in line
    paths = re.findall(r"threaddump analyze (fixtures/black-friday/[^\s;&|]+)", line)
    assert paths
    assert all((ROOT / path).is_file() for path in paths)


def test_test_line_installs_and_runs_the_tests() -> None:
    line = ci_readme.line(TEXT, "test")
    assert "python3 -m venv" in line
    assert "pip install" in line
    assert "[test]" in line
    assert line.rstrip().endswith("pytest")


@pytest.mark.parametrize("mark", ["try", "test"])
def test_lines_stop_at_the_first_failure(mark: str) -> None:
    line = ci_readme.line(TEXT, mark)
    assert ";" not in line
    assert "|" not in line
    assert "&&" in line


def test_output_is_shown() -> None:
    assert OUTPUTS


@pytest.mark.parametrize(("command", "shown"), OUTPUTS, ids=[command for command, _ in OUTPUTS])
def test_shown_output_is_the_real_one(
    command: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = stripped(run_cli(command, monkeypatch, capsys))
    shown = stripped(re.sub(r"\A\$ [^\n]*\n", "", shown))
    # A line of three dots stands for lines left out; what is shown has to follow in order, whole lines each.
    first, *rest = re.split(r"^\.\.\.$\n?", shown, flags=re.MULTILINE)
    if not rest:
        assert shown == printed
        return
    assert printed.startswith(first)
    position = len(first)
    for part in filter(None, rest):
        found = f"\n{printed}\n".find(f"\n{part.rstrip()}\n", position)
        assert found >= 0, f"not printed, or not in this order:\n{part}"
        position = found + len(part.rstrip())


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", TEXT)
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (ROOT / target).exists()] == []
