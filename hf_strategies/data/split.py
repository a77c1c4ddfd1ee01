"""Which side of the split a document is on: a function of its text alone."""

import hashlib
from collections.abc import Sequence

from hf_strategies.errors import UserError


def is_validation(text: str, share: float) -> bool:
    """Tell whether `text` is held out for validation.

    The document's own hash decides, so adding, removing or reordering documents never moves another one to the other
    side, two copies of a text land on the same side, and a larger share keeps what a smaller one held out.

    Args:
        text: The document.
        share: Expected share of documents held out, in [0, 1].

    Raises:
        UserError: `share` lies outside [0, 1].
    """
    if not 0.0 <= share <= 1.0:
        raise UserError(f"validation_share must lie in [0, 1], got {share}")
    return _place(text) < share * 2**64


def hold_out(contents: Sequence[str], share: float, classes: Sequence[str | None]) -> list[bool]:
    """Tell for each row whether it is held out: by `is_validation`, and so that both sides have some of every class.

    Of a class that would be on one side alone, the content that the hash puts nearest to the other side goes there.

    Args:
        contents: What the rows say.
        share: As of `is_validation`.
        classes: Of the rows; None of one that has not just one.

    Raises:
        UserError: `share` lies outside [0, 1].
    """
    held = {content for content in contents if is_validation(content, share)}
    by_class: dict[str, set[str]] = {}
    for content, name in zip(contents, classes, strict=True):
        if name is not None and 0.0 < share < 1.0:
            by_class.setdefault(name, set()).add(content)
    for alike in by_class.values():
        if len(alike) > 1 and not alike & held:
            held.add(min(alike, key=_place))
        elif len(alike) > 1 and alike <= held:
            held.remove(max(alike, key=_place))
    return [content in held for content in contents]


def _place(text: str) -> int:
    """Return where a text's hash lies, in [0, 2**64)."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
