"""Names of services: ``NAME=FILE`` gives dumps to one, ``CALLER:CALLED`` says that one calls another."""

from __future__ import annotations

import os
from collections.abc import Sequence

from threaddump.sources import InputError, Source, expand

_NAME_LIMIT = 100


def service_sources(options: Sequence[str], others: Sequence[Source]) -> tuple[list[Source], dict[str, str]]:
    """The sources that ``NAME=FILE`` options name, before the ``others``, and the service of each by its name.

    A file of a service that is also among the others is read once. Raises InputError for an option of another form,
    and for a file that two services claim.
    """
    found: dict[str, Source] = {}
    names: dict[str, str] = {}
    for option in options:
        name, equals, pattern = option.partition("=")
        if not _usable(name) or not equals or not pattern:
            raise InputError(f"--service {option}: not a name and its dumps", "--service orders='dumps/orders-*.txt'")
        for source in expand([pattern]):
            place = _place(source)
            if names.setdefault(place, name.strip()) != name.strip():
                raise InputError(
                    f"{source.name} is given to two services: {names[place]} and {name}", "give each file to one"
                )
            found.setdefault(place, source)
    rest = [source for source in others if _place(source) not in found]
    return [*found.values(), *rest], {found[place].name: name for place, name in names.items()}


def _usable(name: str) -> bool:
    return bool(name.strip()) and len(name) <= _NAME_LIMIT


def _place(source: Source) -> str:
    return os.path.realpath(source.path) if source.path is not None else source.name


def called(options: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of ``CALLER:CALLED`` options, each once. Raises InputError for another form."""
    pairs: dict[tuple[str, str], None] = {}
    for option in options:
        caller, _, callee = option.partition(":")
        if not _usable(caller) or not _usable(callee) or caller.strip() == callee.strip():
            raise InputError(f"--calls {option}: not two services", "--calls frontend:orders")
        pairs[caller.strip(), callee.strip()] = None
    return list(pairs)
