"""How much of the validation text a model has met in training, word for word."""

from collections.abc import Iterator

import numpy as np

from hf_strategies.data.token_stream import TokenStream

PIECE_TOKENS = 1 << 22  # hashed at a time
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def shared_ngrams(train: TokenStream, validation: TokenStream, size: int, end_token_id: int) -> tuple[int, int]:
    """Count the different runs of `size` tokens of the validation text, and those that the training text has too.

    A run lies within one document. Runs are compared by hashes of 64 bits. GPT-3 (Brown et al. 2020, appendix C,
    https://arxiv.org/abs/2005.14165) calls a text contaminated that shares 13 words with the training text.

    Args:
        train: The training text.
        validation: The validation text.
        size: Tokens of a run, at least 1.
        end_token_id: What stands between documents.

    Returns:
        Runs in both, and runs of the validation text. Cost: a pass over the training tokens; 8 bytes for each
        validation token.
    """
    pieces = [np.unique(hashes) for hashes in _hashes(validation.ids, size, end_token_id)]
    wanted = np.unique(np.concatenate(pieces)) if pieces else np.empty(0, np.uint64)
    found = np.zeros(len(wanted), dtype=bool)
    for hashes in _hashes(train.ids, size, end_token_id):
        found |= np.isin(wanted, hashes)
    return int(found.sum()), len(wanted)


def _hashes(ids: np.ndarray, size: int, end_token_id: int) -> Iterator[np.ndarray]:
    """Yield hashes of the runs of `size` tokens that begin in each piece of a stream."""
    for begin in range(0, len(ids) - size + 1, PIECE_TOKENS):
        piece = np.asarray(ids[begin : begin + PIECE_TOKENS + size - 1])
        number = len(piece) - size + 1
        hashes, has_end = np.zeros(number, np.uint64), np.zeros(number, bool)
        for place in range(size):
            tokens = piece[place : place + number]
            has_end |= tokens == end_token_id
            hashes = (hashes + tokens.astype(np.uint64) + np.uint64(1)) * MULTIPLIER
            hashes ^= hashes >> np.uint64(29)
        yield hashes[~has_end]
