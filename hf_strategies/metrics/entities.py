"""How well whole entities are found: spans and types that tags spell out, such as B-PER I-PER.

A tag is O, or a prefix and a type: B begins an entity, I goes on with it, E ends it, S is one of a single word.
"""

from collections.abc import Sequence
from typing import Any

from hf_strategies.errors import UserError
from hf_strategies.metrics.inputs import tag_rows
from hf_strategies.ranges import one_of

PREFIXES = {"IOB1": "BI", "IOB2": "BI", "BIOES": "BIES"}

Entity = tuple[int, int, str]


def is_entity_tag(tag: str) -> bool:
    """Tell whether a tag is O, or a prefix and a type: B-PER."""
    return tag == "O" or (tag[:1] in tuple("BIES") and tag[1:2] == "-" and len(tag) > 2)


def find_entities(tags: Sequence[str], scheme: str | None = None) -> set[Entity]:
    """Return the entities of a row: first word, word after the last, type.

    Args:
        tags: Of the words of a row.
        scheme: None takes any tags as the evaluation of CoNLL-2000 does
            (https://aclanthology.org/W00-0726): whatever cannot go on with an entity begins another. A key of
            `PREFIXES` takes only what the scheme allows (https://aclanthology.org/E99-1023 compares them): an
            I alone is none in IOB2, and in BIOES none that is not ended.
    """
    found, start, before = set(), None, "O"
    for word, tag in enumerate([*tags, "O"]):
        if start is not None and not _goes_on(before, tag):
            if scheme != "BIOES" or before[0] in "ES":
                found.add((start, word, before[2:]))
            start = None
        if start is None and tag != "O" and _may_begin(before, tag, scheme):
            start = word
        before = tag
    return found


def _goes_on(before: str, tag: str) -> bool:
    """Tell whether `tag` is of the entity that `before` is of."""
    return tag[0] in "IE" and before[0] in "BI" and tag[2:] == before[2:]


def _may_begin(before: str, tag: str, scheme: str | None) -> bool:
    if scheme == "IOB2":
        return tag[0] == "B"
    if scheme == "BIOES":
        return tag[0] in "BS"
    if scheme == "IOB1":  # a B parts an entity from one of its type right before it
        return tag[0] == "I" or before[2:] == tag[2:]
    return True


def entity_f1(predictions: Any, references: Any, *, scheme: str | None = None) -> float:
    """Return the harmonic mean of `entity_precision` and `entity_recall`; 0 where nothing is found.

    Args:
        predictions: Tags of the words of each row; rows may differ in length.
        references: As `predictions`.
        scheme: As in `find_entities`.

    Raises:
        UserError: A tag is none of an entity, or none of the scheme.
    """
    right, predicted, true = _count(predictions, references, scheme)
    return 2 * right / max(predicted + true, 1)


def entity_precision(predictions: Any, references: Any, *, scheme: str | None = None) -> float:
    """Return the share of predicted entities whose words and type are right; 0 where none is predicted.

    Args and errors are those of `entity_f1`.
    """
    right, predicted, _ = _count(predictions, references, scheme)
    return right / max(predicted, 1)


def entity_recall(predictions: Any, references: Any, *, scheme: str | None = None) -> float:
    """Return the share of true entities that are predicted with their words and type; 0 where there are none.

    Args and errors are those of `entity_f1`.
    """
    right, _, true = _count(predictions, references, scheme)
    return right / max(true, 1)


def _count(predictions: Any, references: Any, scheme: str | None) -> tuple[int, int, int]:
    """Count the entities that are right, predicted and true."""
    holds, expected = one_of(PREFIXES)
    if scheme is not None and not holds(scheme):
        raise UserError(f"scheme: expected {expected}, or none, got {scheme!r}")
    sides = tag_rows(predictions, references)
    for name, rows in zip(("predictions", "references"), sides):
        _check_tags(name, {tag for row in rows for tag in row}, scheme)
    predicted, true = ([find_entities(row, scheme) for row in rows] for rows in sides)
    right = sum(len(ours & theirs) for ours, theirs in zip(predicted, true))
    return right, sum(map(len, predicted)), sum(map(len, true))


def _check_tags(name: str, tags: set[str], scheme: str | None) -> None:
    allowed = PREFIXES[scheme] if scheme else "BIES"
    for tag in sorted(tags):
        if not is_entity_tag(tag) or (tag != "O" and tag[0] not in allowed):
            known = ", ".join(f"{prefix}-TYPE" for prefix in allowed)
            raise UserError(f"{name}: tag {tag!r} is none of O, {known}{f' of {scheme}' if scheme else ''}")
