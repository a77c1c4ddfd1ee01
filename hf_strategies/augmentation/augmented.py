"""Rows of a data set whose texts change from epoch to epoch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils.data import Dataset

from hf_strategies.augmentation.text import TextAugmenter
from hf_strategies.errors import UserError, did_you_mean

Row = Mapping[str, Any]


class AugmentedRows(Dataset):
    """Encoded rows: as they are by index, and augmented by index and epoch.

    Whoever trains asks `draw`, whoever evaluates asks by index. A row's other fields, labels among them, are not
    touched, nor are the rows themselves.

    Args:
        rows: By index; each maps fields to values.
        fields: Fields that are augmented: texts, or lists of words.
        encode: Makes a model's inputs of a row.
        augment: What is done to each of the fields; None for nothing.

    Raises:
        UserError: The first row lacks one of the fields.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        fields: Sequence[str],
        encode: Callable[[Row], dict[str, Any]],
        augment: TextAugmenter | None = None,
    ) -> None:
        for field in fields if len(rows) else ():
            if field not in rows[0]:
                guess = did_you_mean(field, rows[0])
                raise UserError(f"rows have no field {field!r} to augment{guess} (they have: {', '.join(rows[0])})")
        self.rows = rows
        self.fields = tuple(fields)
        self.encode = encode
        self.augment = augment

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.encode(self.rows[index])

    def draw(self, index: int, epoch: int) -> dict[str, Any]:
        """Return the sample as it is in one epoch; the same whoever asks, and in whatever order."""
        row = self.rows[index]
        if self.augment is None:
            return self.encode(row)
        changed = {field: self.augment(row[field], epoch=epoch, example=index, field=field) for field in self.fields}
        return self.encode({**row, **changed})
