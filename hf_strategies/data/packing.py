"""Fixed blocks of tokens cut from a stream, without losing one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hf_strategies.data.token_stream import TokenStream
from hf_strategies.errors import UserError
from hf_strategies.metrics.language_modeling import IGNORED


def pack_block(
    ids: np.ndarray,
    document_starts: np.ndarray,
    block_size: int,
    *,
    pad_token_id: int,
    bos_token_id: int | None,
    isolate_documents: bool,
) -> dict[str, Tensor]:
    """Turn consecutive tokens into one example of the host's causal language models, which shift the labels inside.

    The label of the first token is ignored: nothing in the block predicts it. With isolation the positions restart at
    every start marker; without an attention mask the host then keeps attention within documents. A BOS is then no
    target either, as it would be predicted from the document before it; an EOS that is both the end of one document
    and the start marker of the next is predicted by the former.

    Args:
        ids: The block's tokens, at most `block_size` and at least 1. `[tokens]`
        document_starts: Places of start markers in `ids`, rising, each in [0, tokens).
        block_size: Length of the example; what is missing is filled with padding.
        pad_token_id: The padding; never a target.
        bos_token_id: The start marker, where it is not an EOS.
        isolate_documents: Add `position_ids` that restart with every document.

    Returns:
        `input_ids`, `labels` and, with isolation, `position_ids`. `[block_size]`, int64 each.
    """
    input_ids = np.full(block_size, pad_token_id, dtype=np.int64)
    input_ids[: len(ids)] = ids
    labels = np.full(block_size, IGNORED, dtype=np.int64)
    labels[1 : len(ids)] = ids[1:]
    block = {"input_ids": torch.from_numpy(input_ids), "labels": torch.from_numpy(labels)}
    if isolate_documents:
        last_start = np.zeros(block_size, dtype=np.int64)
        last_start[document_starts] = document_starts
        block["position_ids"] = torch.from_numpy(np.arange(block_size) - np.maximum.accumulate(last_start))
        if bos_token_id is not None:
            labels[document_starts] = IGNORED
    return block


def check_block_size(block_size: int) -> None:
    """Raise a `UserError` unless a block can hold a token and the one that it predicts."""
    if block_size < 2:
        raise UserError(f"a block must hold at least 2 tokens (max_seq_length), got {block_size}")


class PackedBlocks(Dataset):
    """Blocks of a token stream; with an overlap of o, block i holds tokens [i (L - o), i (L - o) + L).

    Where each token is predicted from those before it, neighbours share one token, the last input of one and the first
    of the next, so that every token but the very first is a target exactly once. The last block is filled with
    padding. A block is read from the mapped file when it is asked for; the corpus is never in memory.

    Args:
        stream: The tokens.
        block_size: Tokens per block, L.
        pad_token_id: Fills the last block.
        bos_token_id: The token that begins every document, if the stream has one (`Framing.bos_token_id`).
        isolate_documents: Keep attention within documents (see `pack_block`).
        overlap: Tokens that neighbours share, o: 1, or 0 where a block is more than its own targets.
        max_blocks: Use only so many blocks from the start.
        name: What the data is for, in messages.

    Raises:
        UserError: The stream does not fill one block, or a size is too small.
    """

    draws_nothing = True  # a block is a function of its index

    def __init__(
        self,
        stream: TokenStream,
        block_size: int,
        *,
        pad_token_id: int,
        bos_token_id: int | None = None,
        isolate_documents: bool = False,
        overlap: int = 1,
        max_blocks: int | None = None,
        name: str = "training",
    ) -> None:
        check_block_size(block_size)
        if max_blocks is not None and max_blocks < 1:
            raise UserError(f"the number of {name} blocks must be at least 1, got {max_blocks}")
        if not stream.num_documents:
            raise UserError(
                f"{name} set empty: no document fell on this side of the split; name validation_file, "
                "or separate the documents by blank lines"
            )
        if len(stream.ids) < block_size:
            raise UserError(
                f"{name} set smaller than one block: {len(stream.ids):,} tokens in {stream.num_documents:,} "
                f"documents, {block_size:,} tokens per block; give it more text, or a smaller max_seq_length"
            )
        self.stream = stream
        self.block_size = block_size
        self.isolate_documents = isolate_documents
        self.pad_token_id = pad_token_id
        self.bos_token_id = bos_token_id
        self.overlap = overlap
        available = -(-(len(stream.ids) - overlap) // (block_size - overlap))
        self.num_blocks = available if max_blocks is None else min(available, max_blocks)

    def __len__(self) -> int:
        return self.num_blocks

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        begin, ids = self._cut(index)
        return self.pack(ids, self._starts_within(begin, begin + len(ids)) - begin)

    def pack(self, ids: np.ndarray, document_starts: np.ndarray) -> dict[str, Tensor]:
        """Turn tokens into an example as a block's own are (see `pack_block`)."""
        return pack_block(
            ids,
            document_starts,
            self.block_size,
            pad_token_id=self.pad_token_id,
            bos_token_id=self.bos_token_id,
            isolate_documents=self.isolate_documents,
        )

    def tokens(self, index: int) -> np.ndarray:
        """Return the tokens of a block without padding. `[at most L]`"""
        _, ids = self._cut(index)
        return ids

    @property
    def num_tokens(self) -> int:
        """Length of the part of the stream that the blocks cover, in tokens."""
        return min(len(self.stream.ids), self.num_blocks * (self.block_size - self.overlap) + self.overlap)

    @property
    def num_predicted_tokens(self) -> int:
        """Number of labels that count, over all blocks."""
        not_first = self.num_tokens - 1
        if not self.isolate_documents or self.bos_token_id is None:
            return not_first
        return not_first - len(self._starts_within(1, self.num_tokens))

    @property
    def num_bytes(self) -> float:
        """Length in bytes of UTF-8 of the text that the blocks cover, for bits per byte."""
        return self.stream.num_bytes_until(self.num_tokens)

    def _cut(self, index: int) -> tuple[int, np.ndarray]:
        """Return where a block begins in the stream, and its tokens."""
        if not -self.num_blocks <= index < self.num_blocks:
            raise IndexError(f"block {index} of {self.num_blocks}")
        begin = index % self.num_blocks * (self.block_size - self.overlap)
        return begin, self.stream.ids[begin : begin + self.block_size]

    def _starts_within(self, begin: int, end: int) -> np.ndarray:
        starts = self.stream.document_starts
        first, last = np.searchsorted(starts, [begin, end])
        return np.asarray(starts[first:last])
