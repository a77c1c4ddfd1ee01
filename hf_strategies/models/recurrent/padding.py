"""Rows of different lengths for a recurrent layer: padding, wherever it stands, leaves no trace in a state."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


@dataclass
class Packing:
    """Where the tokens of padded rows stand once they are packed.

    Args:
        order: `[rows, tokens]`, for each place of a row the one that its token came from: padding last.
        lengths: `[rows]`, on the CPU; of a row of padding alone 1, since none can be empty.
    """

    order: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, attention_mask: Tensor | None, tokens: int) -> "Packing | None":
        """Find the packing of the last `tokens` places of rows; None where nothing is padding.

        Args:
            attention_mask: `[rows, places]`, 0 at padding; it may tell of places that have been read before.
            tokens: Places to read.
        """
        if attention_mask is None:
            return None
        kept = attention_mask[:, -tokens:].bool()
        if kept.all():
            return None
        return cls(kept.int().argsort(dim=1, descending=True, stable=True), kept.sum(dim=1).clamp(min=1).cpu())

    def pack(self, rows: Tensor) -> PackedSequence:
        """Pack `[rows, tokens, width]`."""
        moved = rows.gather(1, self.order[..., None].expand_as(rows))
        return pack_padded_sequence(moved, self.lengths, batch_first=True, enforce_sorted=False)

    def unpack(self, packed: PackedSequence) -> Tensor:
        """Put what `pack` packed back to its places, zeros at padding."""
        moved, _ = pad_packed_sequence(packed, batch_first=True, total_length=self.order.shape[1])
        back = torch.argsort(self.order, dim=1)
        return moved.gather(1, back[..., None].expand_as(moved))
