"""Randomness as pure functions: nothing here has state, so nothing here has to be saved.

The order of samples is a keyed permutation that can be evaluated at any position, and every random draw on an example
comes from a counter-based generator keyed by (seed, epoch, sample, operation). A resumed run, another number of
workers or another number of ranks therefore sees exactly what the uninterrupted run saw.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

FEISTEL_ROUNDS = 6


def generator(seed: int, epoch: int, sample: int, operation: str) -> np.random.Generator:
    """Return the generator of one random operation on one example.

    Args:
        seed: Seed of the run.
        epoch: Pass over the data, from 0.
        sample: Index of the example in its dataset.
        operation: Name of what is drawn ("mask", "crop", ...); two operations on one example are independent.
    """
    key = _KeySequence(_key(seed, epoch, sample, operation))
    return np.random.Generator(np.random.Philox(key))  # type: ignore[arg-type]  # which numpy's own words allow


def draw_seed(seed: int, epoch: int, sample: int, operation: str) -> int:
    """Return the seed, in [0, 2**63), with which a library's own stream draws for one operation on one example.

    For what cannot be handed a `generator`: a collator or a transform that draws from a global stream. The arguments
    are those of `generator`.
    """
    return int(_key(seed, epoch, sample, operation)[0] >> np.uint64(1))


def shuffled_indices(positions: np.ndarray, size: int, *, seed: int, epoch: int) -> np.ndarray:
    """Map positions in one epoch's order to sample indices: a permutation of range(size), evaluated where asked.

    A Feistel network over the next even number of bits permutes a power of two; values outside the range walk on
    until they fall inside (Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains"). Cost: O(len(positions)),
    whatever `size` is, so that seeking is immediate.

    Args:
        positions: Places in the epoch's order, each in [0, size). `[n]`, integers.
        size: Number of samples in the epoch.
        seed: Seed of the run.
        epoch: Pass over the data, from 0; each has an order of its own.

    Returns:
        Sample indices. `[n]`, int64.
    """
    if len(positions) and not 0 <= int(positions.min()) <= int(positions.max()) < size:
        raise ValueError(f"positions must lie in [0, {size}), got {int(positions.min())} to {int(positions.max())}")
    half_bits = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    keys = np.frombuffer(_key(seed, epoch, size, "order").tobytes() * 4, dtype=np.uint64)[:FEISTEL_ROUNDS]
    values = _feistel(positions.astype(np.uint64), half_bits, keys)
    while (outside := values >= size).any():
        values[outside] = _feistel(values[outside], half_bits, keys)
    return values.astype(np.int64)


class _KeySequence(ISeedSequence):
    """Hand Philox its key as it is; `Philox(key=...)` asks the system for entropy too, which takes twice as long."""

    def __init__(self, key: np.ndarray) -> None:
        self.key = key

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        return self.key


def _key(*parts: int | str) -> np.ndarray:
    """Hash `parts` to a 128-bit key."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).digest()
    return np.frombuffer(digest, dtype=np.uint64)


def _feistel(values: np.ndarray, half_bits: int, keys: np.ndarray) -> np.ndarray:
    """Permute `values`, each below 4**half_bits."""
    shift, mask = np.uint64(half_bits), np.uint64((1 << half_bits) - 1)
    left, right = values >> shift, values & mask
    for round_number, key in enumerate(keys):
        left, right = right, left ^ (_mix(right + key + np.uint64(round_number << 32)) & mask)
    return (left << shift) | right


def _mix(values: np.ndarray) -> np.ndarray:
    """Scramble 64-bit integers (the finaliser of SplitMix64; overflow wraps on purpose)."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
