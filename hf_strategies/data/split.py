"""Which side of the split a document is on: a function of its text alone."""

import hashlib

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
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") < share * 2**64
