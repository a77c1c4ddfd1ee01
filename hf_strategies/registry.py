"""Named shelves of strategies: the only look-up mechanism in the package.

A shelf is a table that anyone can read: one `add` per strategy with its name, where it lives, one line about it and
its paper. What builds it may be given as "module:attribute" and is imported on first use, so that a command line can
be checked against every shelf without importing torch.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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

    @property
    def build(self) -> Builder:
        """What builds the strategy, imported on first use if it was shelved by address."""
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        return cast(Builder, getattr(importlib.import_module(module), attribute))


class Registry(Generic[Builder]):
    """Name-to-entry table that refuses duplicates and suggests near misses."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry[Builder]] = {}

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

    def __getitem__(self, name: str) -> Entry[Builder]:
        if name in self._entries:
            return self._entries[name]
        guess = did_you_mean(name, self._entries)
        raise UserError(f"unknown {self.kind} {name!r}{guess} (known: {', '.join(self.names())})")

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[Entry[Builder]]:
        return iter(self._entries.values())

    def names(self) -> list[str]:
        return sorted(self._entries)
