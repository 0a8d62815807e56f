"""How the frames of each runtime are named in catalog patterns and reports, and whose code they are.

A *key* is what patterns match: ``com.shop.Dao.load`` (JVM, .NET), ``net/http.(*conn).serve`` (Go), and for languages
whose frames tell their file rather than their class ``urllib3/connectionpool.py:_get_conn`` (Python, Ruby). C functions
between Python frames are ``native:recv``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from threaddump_parsers.java_frames import is_c_function
from threaddump_parsers.model import Frame

KEYS_KEPT = 100_000
SHARED_ROOTS = {
    "org.apache": 3,
    "org.apache.commons": 4,
    "org.eclipse": 3,
    "org.jboss": 3,
    "org.springframework": 3,
    "com.amazonaws": 3,
    "com.google": 3,
    "com.google.common": 4,
    "com.ibm": 3,
    "com.microsoft": 3,
    "com.oracle": 3,
    "com.sun": 3,
    "io.github": 3,
    "software.amazon": 4,
}
"""Package roots that several libraries share, and how many segments tell one of them from its neighbours."""


@dataclass(slots=True, frozen=True)
class Naming:
    """The names of one runtime family."""

    key: Callable[[Frame], str]
    root: Callable[[str], str]
    """The part of a key that frames of one library share: ``org.apache.http``, ``urllib3``."""
    standard: Callable[[str], bool] | None = None
    """Whether a key is of the standard library; None where the catalog lists its packages."""
    installed: Callable[[Frame], bool] | None = None
    """Whether the file of a frame says that it is a library's; None where only the catalog's list of packages tells."""
    paths: bool = False
    """Keys are ``FILE:FUNCTION``, and the catalog lists libraries by the first part of the path."""
    qualified: bool = False
    """A frame's function tells more than its key: it has the class."""

    def shown(self, frame: Frame) -> str:
        """How a report names a frame."""
        key = self.key(frame)
        if self.qualified and frame.file is None:
            return frame.function
        if key.startswith("call:"):
            return frame.function.removeprefix("?.")
        if self.qualified and not key.startswith("native:"):
            return f"{key.rpartition(':')[0]}:{frame.function}"
        return key.removeprefix("native:")


@lru_cache(maxsize=KEYS_KEPT)
def library_root(key: str) -> str:
    """The part of a name that frames of one library share: ``org.apache.http``, ``urllib3``."""
    if ":" in key:
        return key.partition("/")[0]
    segments = key.split(".", 4)
    length = SHARED_ROOTS.get(".".join(segments[:3])) or SHARED_ROOTS.get(".".join(segments[:2])) or 2
    return ".".join(segments[:length])


# The JVM


def java_key(frame: Frame) -> str:
    """``com.shop.Dao.load``; a C function of ``jhsdb jstack --mixed`` as ``native:recv``."""
    return f"native:{frame.function}" if is_c_function(frame) else frame.function


# Python

SOURCE_LINE = "<source line>"
"""The file of a frame that no dump prints: the C function that the source line below it calls."""
_C_CODE = ("native:", "call:")
"""How keys of frames begin that are no Python code: C functions of a dump, and those that a source line calls."""
_ROOTS = frozenset({"", "usr", "srv", "home", "opt", "tmp", "var", "root", "mnt"})
"""First parts of an absolute path, also of one that lost its first character."""
_INSTALLED = re.compile(r".*[/\\](?:site-packages|dist-packages|python\d+(?:\.\d+)?t?(?:\.zip)?|Lib)[/\\]", re.DOTALL)
_NATIVE_SUFFIX = re.compile(r"(@.*|\.(?:constprop|part|isra|cold|llvm).*)$", re.DOTALL)
_STDLIB = frozenset(sys.stdlib_module_names) - {"test", "this", "antigravity"}


def is_c_code(key: str) -> bool:
    """Whether a frame with this key is a C function below Python code."""
    return key.startswith(_C_CODE)


def python_key(frame: Frame) -> str:
    if frame.file is SOURCE_LINE:
        return f"call:{frame.function}"
    if frame.native:
        symbol = _NATIVE_SUFFIX.sub("", frame.function).partition("(")[0].lstrip("_")
        return f"native:{symbol.removeprefix('GI_').lstrip('_')}"
    if frame.file is None:
        return f"?:{frame.function}"  # qualified: without a file the class is all that tells whose it is
    return f"{python_path(frame.file)}:{frame.function.rpartition('.')[2]}"


def python_path(path: str) -> str:
    """The file below its import root: ``urllib3/connectionpool.py``; of an application, its last two parts."""
    if path.startswith("<"):
        return path
    cut = _INSTALLED.sub("", path)
    return cut.replace("\\", "/") if cut != path else _last_parts(path)


def _last_parts(path: str) -> str:
    parts = path.replace("\\", "/").split("/")
    if len(parts) > 2 and (parts[0] in _ROOTS or ":" in parts[0]):
        # An absolute path outside of the installed packages: the application's own. Python 3.15 prints paths relative
        # to the working directory, which often is the root.
        return "/".join(parts[-2:])
    return "/".join(parts)


def is_installed(path: str) -> bool:
    """Whether a file is of the interpreter or of an installed package, by its path."""
    return path.startswith("<") or _INSTALLED.match(path) is not None


def _is_python(key: str) -> bool:
    if is_c_code(key) or key.startswith("<frozen "):
        return True
    path, _, _ = key.rpartition(":")
    top, slash, _ = path.partition("/")
    return (top if slash else top.removesuffix(".py")) in _STDLIB


# Go

_GO_STANDARD = frozenset(
    [
        "archive",
        "bufio",
        "builtin",
        "bytes",
        "cmp",
        "compress",
        "container",
        "context",
        "crypto",
        "database",
        "debug",
        "embed",
        "encoding",
        "errors",
        "expvar",
        "flag",
        "fmt",
        "go",
        "hash",
        "html",
        "image",
        "index",
        "internal",
        "io",
        "iter",
        "log",
        "maps",
        "math",
        "mime",
        "net",
        "os",
        "path",
        "plugin",
        "reflect",
        "regexp",
        "runtime",
        "slices",
        "sort",
        "strconv",
        "strings",
        "structs",
        "sync",
        "syscall",
        "testing",
        "text",
        "time",
        "unicode",
        "unique",
        "unsafe",
        "vendor",
        "weak",
    ]
)
"""The first part of the import paths of Go's standard library (``go list std``): paths of others begin with a host, or
with the name of the application's module."""
_GO_MODULE = re.compile(r"/pkg/mod/|/vendor/|@v\d", re.DOTALL)
"""In the files of modules that the application depends on; the last where it was built with ``-trimpath``."""


def _is_go(key: str) -> bool:
    first, slash, _ = key.partition("/")
    return (first if slash else first.partition(".")[0]) in _GO_STANDARD or key in {"panic", "non-Go function"}


def _is_go_module(frame: Frame) -> bool:
    return _GO_MODULE.search(frame.file or "") is not None


def _go_root(key: str) -> str:
    """The module, as far as its path tells: ``github.com/jackc/pgx``, ``google.golang.org/grpc``."""
    *folders, last = key.split("/")
    parts = [*folders, last.partition(".")[0]]
    return "/".join(parts[: 2 if parts[0].endswith(("golang.org", ".org", ".in", ".io")) else 3])


# Ruby

_RUBY_INSTALLED = re.compile(
    r".*/(?:gems/[^/]+/(?:lib|app)|(?:rubygems|ruby)/(?:site_ruby/)?\d+\.\d+(?:\.\d+)?)/(?!gems/)", re.DOTALL
)
_RUBY_BLOCK = re.compile(r"(?:(?:block(?: \(\d+ levels\))?|rescue|ensure) in )+")
_RUBY_GEM = re.compile(r"/gems/[^/]+-\d[^/]*/")


def ruby_key(frame: Frame) -> str:
    """``net/protocol.rb:rbuf_fill``; a method of the interpreter itself as ``native:pop``."""
    method = _RUBY_BLOCK.sub("", frame.function)
    method = re.split(r"[#.]", method)[-1] or method
    if frame.native:
        return f"native:{method}"
    path = frame.file or "?"
    cut = _RUBY_INSTALLED.sub("", path)
    return f"{cut if cut != path or path.startswith('<') else _last_parts(path)}:{method}"


def _is_ruby(key: str) -> bool:
    return key.startswith(("native:", "<internal:", *_RUBY_STANDARD))


_RUBY_STANDARD = tuple(
    f"{name}{end}"
    for name in [
        "net",
        "openssl",
        "socket",
        "monitor",
        "timeout",
        "thread",
        "open-uri",
        "resolv",
        "logger",
        "csv",
        "json",
        "set",
        "tempfile",
        "fileutils",
        "io",
        "open3",
        "psych",
        "yaml",
        "uri",
        "webrick",
        "drb",
        "delegate",
        "forwardable",
        "observer",
        "pstore",
        "singleton",
        "bundler",
        "rubygems",
        "erb",
        "optparse",
        "securerandom",
        "digest",
    ]
    for end in ("/", ".rb:")
)


def _is_gem(frame: Frame) -> bool:
    return not frame.native and _RUBY_GEM.search(frame.file or "") is not None


# .NET


def dotnet_key(frame: Frame) -> str:
    """Nested types with a dot, without arity and type arguments: ``System.Threading.Tasks.Task.Wait``."""
    if frame.native:
        return f"native:{frame.function}"
    name = _DOTNET_ASYNC.sub(r".\1", _DOTNET_ARGUMENTS.sub("", frame.function))
    return _DOTNET_LAMBDA.sub(r".\1", name).replace("+", ".")


_DOTNET_ASYNC = re.compile(r"\+<(\w+)>d(?:__\d+)?\.MoveNext$")
"""An async method runs as a class of its own."""
_DOTNET_LAMBDA = re.compile(r"\+<>c(?:__DisplayClass[\d_]+)?\.<(\w+)>[bg]__[\w|]+$")
_DOTNET_ARGUMENTS = re.compile(r"`\d{1,3}|\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]")

# In reports


_GO_FUNCTION = re.compile(
    r"(?=main\.|[\w.~%-]*[/(])(?:[\w.~%-]{1,200}/){0,20}[\w~%-]{1,200}\.(?:\(\*?[\w.\[\]]{1,200}\)\.)?[\w.\[\]-]{1,400}"
)


def last_segments(function: str, count: int = 2) -> str:
    """``Class.method`` of a qualified name; of a Go function ``orders.(*Gateway).Reserve``, with its package."""
    if _GO_FUNCTION.fullmatch(function):
        return "/".join(function.split("/")[1 - count :])
    return ".".join(function.split(".")[-count:])


_NAMINGS = {
    "python": Naming(python_key, library_root, _is_python, paths=True, qualified=True),
    "go": Naming(lambda frame: frame.function, _go_root, _is_go, _is_go_module),
    "ruby": Naming(ruby_key, library_root, _is_ruby, _is_gem, paths=True),
    "jvm": Naming(java_key, library_root),
    "dotnet": Naming(dotnet_key, library_root),
}
_BY_CLASS = Naming(lambda frame: frame.function, library_root)


def naming(family: str) -> Naming:
    """How frames of a family are named; by class and package where nothing else is known."""
    return _NAMINGS.get(family, _BY_CLASS)
