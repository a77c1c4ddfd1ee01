"""Blocks of tokens from documents that are read while training, for data that does not fit on the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.encoding import TextEncoder
from hf_strategies.data.framing import Framing
from hf_strategies.data.packing import check_block_size, pack_block
from hf_strategies.errors import UserError

DOCUMENTS_PER_BATCH = 64
CHARACTERS_PER_BATCH = 1 << 22  # or fewer documents, where they are long
REMEMBERED_BATCHES = 256  # positions that `state_dict` can go back to


class StreamingBlocks(IterableDataset):
    """The blocks that `PackedBlocks` would cut, made while the documents are read.

    Where a reader stands is written down at every batch of documents: their number, and the tokens carried over from
    before them. Any block after that follows from there, so the state stays small and continues exactly.

    Args:
        read_texts: Yields the texts from document number n on, in a fixed order.
        tokenizer_json: The whole tokenizer.
        framing: Marks between documents.
        block_size: Tokens per block.
        pad_token_id: Fills the last block.
        isolate_documents: Keep attention within documents (see `pack_block`).
        broken: Where `read_texts` counts the records that it skips in the pass it is in.

    Raises:
        UserError: `block_size` is too small.
    """

    def __init__(
        self,
        read_texts: Callable[[int], Iterator[str]],
        tokenizer_json: str,
        framing: Framing,
        block_size: int,
        *,
        pad_token_id: int,
        isolate_documents: bool = False,
        broken: BrokenRecords | None = None,
    ) -> None:
        check_block_size(block_size)
        self.read_texts = read_texts
        self.tokenizer_json = tokenizer_json
        self.framing = framing
        self.block_size = block_size
        self.pad_token_id = pad_token_id
        self.isolate_documents = isolate_documents
        self.broken = broken or BrokenRecords()
        self._start: dict[str, Any] = self._first_position()
        self._positions: deque[dict[str, Any]] = deque([self._start], maxlen=REMEMBERED_BATCHES)
        self._num_blocks = 0

    def state_dict(self, num_blocks: int | None = None) -> dict[str, Any]:
        """Return the place in the data from which `load_state_dict` continues; JSON values only.

        Args:
            num_blocks: Blocks of this pass that training has used, where a reader ahead of it has drawn more; None
                means all that were drawn.

        Raises:
            ValueError: So many were not drawn yet, or the place is too far back to be remembered.
        """
        used = self._num_blocks if num_blocks is None else num_blocks
        before = [position for position in self._positions if position["num_blocks"] <= used]
        if not before or used > self._num_blocks:
            oldest = self._positions[0]["num_blocks"]
            raise ValueError(f"num_blocks must lie in [{oldest}, {self._num_blocks}], got {used}")
        return {**before[-1], "skip": used - before[-1]["num_blocks"]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next pass continue from a place that `state_dict` returned; passes after it start afresh."""
        self._start = state
        self._positions = deque([state], maxlen=REMEMBERED_BATCHES)
        self._num_blocks = state["num_blocks"] + state["skip"]

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """Yield blocks from where `load_state_dict` left off, or from the first document on.

        Raises:
            UserError: Called in a DataLoader's worker process, whose position the training process cannot save.
        """
        if get_worker_info() is not None:
            raise UserError("streaming data is read by the training process itself: set dataloader_num_workers to 0")
        position, self._start = self._start, self._first_position()
        self._positions.clear()
        self._num_blocks = position["num_blocks"] + position["skip"]
        skip = position["skip"]
        for block in islice(self._blocks_from(position), skip, None):
            self._num_blocks += 1
            yield block

    def _first_position(self) -> dict[str, Any]:
        return {"documents": 0, "num_blocks": 0, "skip": 0, "tokens": self.framing.opening, "starts": []}

    def _blocks_from(self, position: dict[str, Any]) -> Iterator[dict[str, Tensor]]:
        encoder = TextEncoder(self.tokenizer_json, np.uint32)
        texts = self.read_texts(position["documents"])
        documents, num_blocks = position["documents"], position["num_blocks"]
        tokens = np.array(position["tokens"], dtype=np.int64)
        starts = np.array(position["starts"], dtype=np.int64)
        while True:
            self._positions.append(
                {
                    "documents": documents,
                    "num_blocks": num_blocks,
                    "skip": 0,
                    "tokens": tokens.tolist(),
                    "starts": starts.tolist(),
                }
            )
            batch = _next_batch(texts)
            documents += len(batch)
            tokens, starts = self._append(tokens, starts, encoder.encode(batch))
            begin = 0
            # The last token known stays out of a block: it may turn out to be the next document's start marker.
            while len(tokens) - begin > self.block_size or (not batch and len(tokens) - begin > 1):
                num_blocks += 1
                yield self._pack(tokens, starts, begin)
                begin += self.block_size - 1
            if not batch:
                return
            tokens, starts = tokens[begin:], starts[starts >= begin] - begin

    def _append(
        self, tokens: np.ndarray, starts: np.ndarray, documents: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        before, after = (np.array(marks, dtype=np.int64) for marks in (self.framing.before, self.framing.after))
        framed = [np.concatenate([before, ids, after]) for ids in documents]
        ends = len(tokens) + np.cumsum([0, *map(len, framed)])
        return np.concatenate([tokens, *framed]), np.concatenate([starts, ends[:-1] + self.framing.marker_offset])

    def _pack(self, tokens: np.ndarray, starts: np.ndarray, begin: int) -> dict[str, Tensor]:
        ids = tokens[begin : begin + self.block_size]
        within = starts[(starts >= begin) & (starts < begin + len(ids))] - begin
        return pack_block(
            ids,
            within,
            self.block_size,
            pad_token_id=self.pad_token_id,
            bos_token_id=self.framing.bos_token_id,
            isolate_documents=self.isolate_documents,
        )


def _next_batch(texts: Iterator[str]) -> list[str]:
    batch: list[str] = []
    size = 0
    for text in islice(texts, DOCUMENTS_PER_BATCH):
        batch.append(text)
        size += len(text)
        if size >= CHARACTERS_PER_BATCH:
            break
    return batch
