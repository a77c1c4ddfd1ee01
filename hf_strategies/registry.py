"""Named shelves of strategies: the only look-up mechanism in the package.

A shelf is a table that anyone can read: one `add` per strategy with its name, where it lives, one line about it and
its paper. What builds it may be given as "module:attribute" and is imported on first use, so that a command line can
be checked against every shelf without importing torch. A whole library can stand behind one prefix ("library:Name"):
what it holds is known when one of its members is built.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, TypeVar, cast

from hf_strategies.errors import UserError, did_you_mean

Builder = TypeVar("Builder", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Entry(Generic[Builder]):
    """One strategy: its name, what builds it, one line about it, and where it comes from."""

    name: str
    target: Builder | str
    summary: str
    paper: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    member: str = ""

    @property
    def build(self) -> Builder:
        """What builds the strategy, imported on first use if it was shelved by address."""
        build: Any = self.target
        if isinstance(build, str):
            module, _, attribute = build.partition(":")
            build = getattr(importlib.import_module(module), attribute)
        return cast(Builder, partial(build, self.member) if self.member else build)


class Registry(Generic[Builder]):
    """Name-to-entry table that refuses duplicates and suggests near misses."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry[Builder]] = {}
        self._families: dict[str, Entry[Builder]] = {}

    def add(self, name: str, target: Builder | str, *, summary: str, paper: str = "", **facts: Any) -> None:
        """Shelve `target` (a callable, or "module:attribute") under `name`.

        Args:
            name: What the user writes; lower_snake, as the paper calls it.
            target: Builds the strategy; its signature is the shelf's own.
            summary: One line for `--help` and the README's tables.
            paper: Address of the source.
            facts: What else a reader or a contract test must know (state buffers, limits).

        Raises:
            ValueError: The name is taken.
        """
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is already registered")
        self._entries[name] = Entry(name=name, target=target, summary=summary, paper=paper, facts=facts)

    def add_family(self, prefix: str, target: Builder | str, *, summary: str, paper: str = "", **facts: Any) -> None:
        """Shelve every name of the form "prefix:member".

        Args:
            prefix: What stands before the colon.
            target: Builds any member: it takes the member's name before what the shelf's builders take, and refuses
                a name that it does not know.
            summary: As in `add`.
            paper: As in `add`.
            facts: As in `add`; true of every member.
        """
        name = f"{prefix}:NAME"
        self._families[prefix] = Entry(name=name, target=target, summary=summary, paper=paper, facts=facts)

    def __getitem__(self, name: str) -> Entry[Builder]:
        entry = self._find(name)
        if entry is None:
            families = [family.name for family in self.families()]
            guess = did_you_mean(name, [*self._entries, *families])
            known = ", ".join([*self.names(), *families])
            raise UserError(f"unknown {self.kind} {name!r}{guess} (known: {known})")
        return entry

    def __contains__(self, name: object) -> bool:
        return self._find(name) is not None

    def _find(self, name: object) -> Entry[Builder] | None:
        if not isinstance(name, str):  # YAML and JSON can write anything in the place of a name
            return None
        if name in self._entries:
            return self._entries[name]
        prefix, _, member = name.partition(":")
        if member and prefix in self._families:
            return replace(self._families[prefix], name=name, member=member)
        return None

    def __iter__(self) -> Iterator[Entry[Builder]]:
        return iter(self._entries.values())

    def names(self) -> list[str]:
        """Return the names of single strategies; the members of families are not counted."""
        return sorted(self._entries)

    def families(self) -> list[Entry[Builder]]:
        """Return an entry for each family, called "prefix:NAME"."""
        return list(self._families.values())
