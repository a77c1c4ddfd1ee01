"""A token that stays out of files."""

from typing import Any


class UnwrittenToken(str):
    """A text that is pickled as None.

    The host pickles its arguments into every checkpoint and beside the model, and uploads that file; the token that
    may write to the user's place on the Hub is one of them.
    """

    def __reduce__(self) -> tuple[type, tuple]:
        return type(None), ()

    def __copy__(self) -> "UnwrittenToken":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "UnwrittenToken":
        return self
