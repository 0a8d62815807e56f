"""The source file of a frame, below the folders that the user names.

Only names are compared: no path of a dump is opened. The folders are listed once, links are not followed.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Sequence

from threaddump.code import statements
from threaddump.code.modules import Module, Scope
from threaddump.naming import is_installed
from threaddump_parsers.model import Frame

MAX_FILE = 1 << 20
"""Bytes of a source file. A bigger one is generated, and takes long to parse."""
MAX_LISTED = 200_000
"""Python files listed below the folders."""
MAX_COMPLAINTS = 10
MAX_PARSED = 400
"""Files parsed for the dumps of a run."""
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "dist-packages"})


class SourceFiles:
    """Finds and parses the files that frames name; each once."""

    def __init__(self, roots: Sequence[str]) -> None:
        self.roots = tuple(roots)
        self._complaints: dict[str, str] = {}
        """File, as printed in the dump or as found, to why its source was not used."""
        self._listed_once = False
        self._names: dict[str, list[str]] = {}
        self._paths: dict[str, str] = {}
        """Path below its folder, as reports name the file, to where it is."""
        self._modules: dict[str, Module | None] = {}
        self._lines: dict[str, list[str]] = {}
        self._found: dict[str, str | None] = {}
        self._scopes: dict[tuple[str, str, int], Scope | None] = {}

    def scope(self, frame: Frame) -> tuple[Module, Scope] | None:
        """The function of a frame; None where its file is not here, or is not the one that ran."""
        if frame.file is None or frame.line is None or is_installed(frame.file):
            return None
        path = self._path(frame.file)
        module = self._module(path) if path is not None else None
        if path is None or module is None:
            return None
        key = (path, frame.function, frame.line)
        if key not in self._scopes:
            self._scopes[key] = _scope(module, frame.function, frame.line)
            if self._scopes[key] is None:
                self._complaints[frame.file] = (
                    f"{path} does not match the dump: line {frame.line} is not in {frame.function}"
                )
        scope = self._scopes[key]
        return (module, scope) if scope is not None else None

    def complaints_on(self, printed: set[str]) -> list[str]:
        """Why the sources of these files were not used, a line each."""
        concerned = printed | {path for file in printed if (path := self._found.get(file)) is not None}
        found = [f"source not used: {why}" for file, why in self._complaints.items() if file in concerned]
        more = len(found) - MAX_COMPLAINTS
        return found[:MAX_COMPLAINTS] + ([f"source not used: {more} more files"] if more > 0 else [])

    def _path(self, printed: str) -> str | None:
        """The file below the roots that has most of the printed path's last parts in common with it."""
        if printed in self._found:
            return self._found[printed]
        parts = printed.replace("\\", "/").split("/")
        best: list[str] = []
        most = 0
        for path in self._listed().get(parts[-1], ()):
            common = _common(parts, path.split("/"))
            if common >= most:
                best = [path] if common > most else [*best, path]
                most = common
        if len(best) > 1:
            self._complaints[printed] = f"{len(best)} files below the source folders may be {printed}: none is used"
        self._found[printed] = best[0] if len(best) == 1 else None
        return self._found[printed]

    def line(self, path: str, number: int) -> str:
        """The text of a line of a file that was parsed."""
        lines = self._lines.get(path, ())
        return lines[number - 1].strip() if 0 < number <= len(lines) else ""

    def locate(self, module: str) -> str | None:
        """The file of a module by its name in an import, if there is one such file below the roots."""
        parts = module.strip(".").split(".")
        wanted = [*parts[:-1], f"{parts[-1]}.py"]
        found = [p for p in self._listed().get(wanted[-1], ()) if _common(wanted, p.split("/")) == len(wanted)]
        return found[0] if len(found) == 1 else None

    def _listed(self) -> dict[str, list[str]]:
        """File name to the paths below the folders that end in it."""
        if not self._listed_once:
            self._listed_once = True
            left = MAX_LISTED
            for root in self.roots:
                for folder, folders, files in os.walk(root):
                    folders[:] = sorted(f for f in folders if f not in _SKIPPED and not f.startswith("."))
                    for name in sorted(files):
                        if name.endswith(".py") and left > 0:
                            left -= 1
                            path = os.path.join(folder, name)
                            below = os.path.relpath(path, root).replace(os.sep, "/")
                            if self._paths.setdefault(below, path) == path:
                                self._names.setdefault(name, []).append(below)
        return self._names

    def _module(self, path: str) -> Module | None:
        if path not in self._modules:
            self._modules[path] = None
            tree = self._tree(path) if len(self._modules) <= MAX_PARSED else None
            if tree is not None:
                try:
                    self._modules[path] = Module(path, tree, self.locate)
                except RecursionError:
                    self._complaints[path] = f"{path} is nested too deep to be read"
        return self._modules[path]

    def _tree(self, path: str) -> ast.Module | None:
        place = self._paths[path]
        try:
            # A regular file, no link to elsewhere, no pipe that never ends.
            if os.path.islink(place) or not os.path.isfile(place) or os.path.getsize(place) > MAX_FILE:
                self._complaints[path] = f"{path} is no file of at most {MAX_FILE >> 20} MB: not read"
                return None
            with open(place, "rb") as file:
                text = file.read(MAX_FILE + 1)
        except OSError as error:
            self._complaints[path] = f"{path} cannot be read: {error.strerror or error}"
            return None
        decoded = text.decode("utf-8", "replace").removeprefix("\ufeff")
        tree = statements.parse(decoded)
        if tree is None:
            self._complaints[path] = f"{path} is not Python that this interpreter can parse"
        self._lines[path] = re.split(r"\r\n|\r|\n", decoded)
        return tree


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many parts at their ends two paths have in common."""
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count


def _scope(module: Module, function: str, line: int) -> Scope | None:
    """The function of this name that has this line in it. Qualified names have to agree as far as they are printed."""
    qualified = function.replace(".<locals>", "")
    bare = qualified.rpartition(".")[2]
    if bare == "<module>":
        return None if any(_in_body(scope.node, line) for scope in module.scopes[1:]) else module.top
    if bare in module.classes:
        return module.top  # the body of a class, run once
    if bare.startswith("<"):
        nodes = statements.of_function(module.top.node, bare, line)
        outer = [scope for scope in module.scopes if scope is module.top or _has(scope.node, line)]
        if not nodes:
            return None
        home = outer[-1]
        return Scope(nodes[-1], qualified, None, home, values=_lambda_parameters(nodes[-1]))
    named = [s for s in module.scopes[1:] if s.name.rpartition(".")[2] == bare and _has(s.node, line)]
    if "." in qualified:
        # Of a class within a class only the inner one is known here.
        named = [s for s in named if s.name == qualified or (s.of_class and qualified.endswith(f".{s.name}"))]
    return named[-1] if named else None


def _lambda_parameters(node: ast.AST) -> dict[str, ast.expr | None]:
    if not isinstance(node, ast.Lambda):
        return {}
    return {argument.arg: None for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}


def _in_body(node: ast.AST, line: int) -> bool:
    """Whether a line is in the body of a function, and not in the statement that defines it."""
    first = getattr(node, "body", [node])[0].lineno
    return bool(getattr(node, "lineno", 0) < line and first <= line and _has(node, line))


def _has(node: ast.AST, line: int) -> bool:
    return statements.first_line(node) <= line <= (getattr(node, "end_lineno", None) or 0)
