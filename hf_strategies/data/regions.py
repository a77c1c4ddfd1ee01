"""DNA as documents: records cut into regions, each on one side of the split, and neighbours on one side joined."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.fasta import Piece
from hf_strategies.data.split import hold_out, is_validation

JUDGED_REGIONS = 60  # of which one is held out in any case: by a share of 0.05 there would be none in 1 of 22 files
LONGEST_DOCUMENT = 1 << 20  # bases, unless a region is longer: a chromosome is never in memory as a whole


@dataclass(frozen=True, kw_only=True)
class RegionSplit:
    """How DNA is split.

    Args:
        region_bases: Length of a region; the last one of a record takes what is left, and is up to twice as long.
        share: Expected share of regions held out for validation, by the hash of their bases, in [0, 1].
        records: Names of the records that are held out whole, in the place of regions.
    """

    region_bases: int = 1024
    share: float = 0.0
    records: tuple[str, ...] = ()


class Stretch(NamedTuple):
    """Consecutive bases of one record: the record's name and the row of its header, their place in it, and them."""

    record: str
    row: int
    start: int
    bases: str


def split_regions(
    pieces: Iterable[Piece], split: RegionSplit, broken: BrokenRecords
) -> Iterator[tuple[Stretch, bool]]:
    """Yield documents and whether each is held out, in the order of their bases.

    Of a small file that has two regions, at least one is held out. Regions of nothing but N are left out.

    Args:
        pieces: Of records, one record behind the other.
        split: How they are split.
        broken: Where bases that are left out are counted.
    """
    joined: list[Stretch] = []
    side, end = False, 0
    for region, is_held in _sided(_regions(pieces, split.region_bases, broken), split):
        goes_on = joined and (region[:2], region.start, is_held) == (joined[0][:2], end, side)
        if joined and (not goes_on or end - joined[0].start >= LONGEST_DOCUMENT):
            yield _join(joined), side
            joined = []
        joined.append(region)
        side, end = is_held, region.start + len(region.bases)
    if joined:
        yield _join(joined), side


def _join(regions: list[Stretch]) -> Stretch:
    return regions[0]._replace(bases="".join(region.bases for region in regions))


def _sided(regions: Iterator[Stretch], split: RegionSplit) -> Iterator[tuple[Stretch, bool]]:
    if split.records:
        yield from ((region, region.record in split.records) for region in regions)
        return
    first = list(islice(regions, JUDGED_REGIONS))
    yield from zip(first, hold_out([region.bases for region in first], split.share, ["DNA"] * len(first)))
    yield from ((region, is_validation(region.bases, split.share)) for region in regions)


def _regions(pieces: Iterable[Piece], size: int, broken: BrokenRecords) -> Iterator[Stretch]:
    """Cut records into regions of `size` bases, the last one of each of less than twice as many."""
    rest = Stretch("", 0, 0, "")
    for piece in pieces:
        if (piece.record, piece.row) != rest[:2]:
            yield from _known([rest], broken)
            rest = Stretch(piece.record, piece.row, 0, "")
        bases = rest.bases + piece.bases
        whole = max(len(bases) // size - 1, 0) * size
        cut = [rest._replace(start=rest.start + at, bases=bases[at : at + size]) for at in range(0, whole, size)]
        yield from _known(cut, broken)
        rest = rest._replace(start=rest.start + whole, bases=bases[whole:])
    yield from _known([rest], broken)


def _known(regions: list[Stretch], broken: BrokenRecords) -> Iterator[Stretch]:
    for region in regions:
        if region.bases.strip("N"):
            yield region
        else:
            broken.count("bases left out, in regions of nothing but N", len(region.bases))
