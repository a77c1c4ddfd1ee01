"""Encode documents in parallel, in their order, and write them as streams.

The documents travel to processes in batches of about a megabyte and come back as arrays of ids, a third of that size;
reading, hashing and writing stay with the one process that has the files.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from hf_strategies.data.encoding import TextEncoder
from hf_strategies.data.framing import Framing
from hf_strategies.data.token_stream import TokenStreamWriter
from hf_strategies.distributed.ranks import available_cores
from hf_strategies.errors import UserError

BATCH_CHARACTERS = 1 << 20
BATCHES_IN_FLIGHT = 2  # per process: enough to keep it busy, few enough to bound the memory

Tag = TypeVar("Tag")
Encoded = tuple[np.ndarray, int]  # ids of one document and the length of its text in bytes of UTF-8

_encoder: TextEncoder  # each worker process has its own


def encode_documents(
    tagged_texts: Iterable[tuple[Tag, str]], *, tokenizer_json: str, dtype: type, num_workers: int | None = None
) -> Iterator[list[tuple[Tag, Encoded]]]:
    """Yield batches of encoded documents, each with the tag it came with, in the order in which they came.

    Args:
        tagged_texts: Documents, each with whatever the caller must know it by.
        tokenizer_json: The whole tokenizer.
        dtype: Integer type of the ids.
        num_workers: Processes that encode; None takes one per core that this process may use, 1 encodes right here.

    Raises:
        UserError: There are less than one of them, or one was killed.
    """
    workers = available_cores() if num_workers is None else num_workers
    if workers < 1:
        raise UserError(f"preprocessing_num_workers must be at least 1, got {workers}")
    if workers == 1:
        encoder = TextEncoder(tokenizer_json, dtype)
        for batch in _batches(tagged_texts):
            yield _join(batch, _encode(encoder, [text for _, text in batch]))
        return
    with ProcessPoolExecutor(workers, initializer=_start_worker, initargs=(tokenizer_json, dtype)) as pool:
        in_flight: deque[tuple[list[tuple[Tag, str]], Future[list[Encoded]]]] = deque()
        try:
            for batch in _batches(tagged_texts):
                in_flight.append((batch, pool.submit(_encode_in_worker, [text for _, text in batch])))
                if len(in_flight) >= workers * BATCHES_IN_FLIGHT:
                    batch, encoded = in_flight.popleft()
                    yield _join(batch, encoded.result())
            for batch, encoded in in_flight:
                yield _join(batch, encoded.result())
        except BrokenProcessPool as error:
            _unblock(pool)
            raise UserError(
                "a process that tokenizes was killed, most likely for memory: lower preprocessing_num_workers, "
                f"which is {workers}, or split documents of many megabytes"
            ) from error


def _unblock(pool: ProcessPoolExecutor) -> None:
    """Close the pipe that nobody reads any more: until Python 3.11.4 a broken pool waits for it forever (gh-94777)."""
    calls = getattr(pool, "_call_queue", None)
    if calls is not None:
        calls._reader.close()


def write_streams(
    sided_texts: Iterable[tuple[str, str]],
    folder: Path,
    *,
    sides: Sequence[str],
    framing: Framing,
    tokenizer_json: str,
    dtype: type,
    num_workers: int | None = None,
    num_bytes: int | None = None,
    show_progress: bool = False,
) -> None:
    """Tokenize (side, text) pairs in one pass, each side into its own stream in `folder`.

    Args:
        sided_texts: The documents and the side of the split each is on.
        folder: An existing empty folder; every side gets a folder in it that `TokenStream.open` reads.
        sides: Names of the sides, all of which are written, empty or not.
        framing: Marks between documents.
        tokenizer_json: The whole tokenizer.
        dtype: Integer type of the ids.
        num_workers: Processes that encode (see `encode_documents`).
        num_bytes: Length of all texts, roughly, for the progress bar.
        show_progress: Show it.
    """
    writers = {}
    for side in sides:
        (folder / side).mkdir()
        writers[side] = TokenStreamWriter(folder / side, framing, dtype)
    batches = encode_documents(sided_texts, tokenizer_json=tokenizer_json, dtype=dtype, num_workers=num_workers)
    with tqdm(total=num_bytes, unit="B", unit_scale=True, desc="tokenizing", disable=not show_progress) as bar:
        for batch in batches:
            for side, (ids, text_bytes) in batch:
                writers[side].add(ids, text_bytes)
                bar.update(text_bytes)
    for writer in writers.values():
        writer.close()


def _batches(tagged_texts: Iterable[tuple[Tag, str]]) -> Iterator[list[tuple[Tag, str]]]:
    batch: list[tuple[Tag, str]] = []
    size = 0
    for tagged in tagged_texts:
        batch.append(tagged)
        size += len(tagged[1])
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _join(batch: list[tuple[Tag, str]], encoded: list[Encoded]) -> list[tuple[Tag, Encoded]]:
    return [(tag, document) for (tag, _), document in zip(batch, encoded)]


def _encode(encoder: TextEncoder, texts: list[str]) -> list[Encoded]:
    return [(ids, len(text.encode())) for ids, text in zip(encoder.encode(texts), texts)]


def _start_worker(tokenizer_json: str, dtype: type) -> None:
    global _encoder
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism
    _encoder = TextEncoder(tokenizer_json, dtype)


def _encode_in_worker(texts: list[str]) -> list[Encoded]:
    return _encode(_encoder, texts)
