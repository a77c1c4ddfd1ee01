"""The list of samples that could not be trained on, and when they are too many."""

import json
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from hf_strategies.errors import UserError, first_line
from hf_strategies.training.feed.sample_feed import BrokenSample

FILE_NAME = "broken_samples.jsonl"
ENDLESS = sys.maxsize
ENOUGH_TO_JUDGE = 1_000  # samples after which the share of broken ones means something, or all there are


class BrokenSamples:
    """Warns of each broken sample once, lists it in a file, and judges their share of what was drawn.

    Processes write to the same file, and each lists and judges what it has drawn itself.

    Args:
        path: The file; it appears with the first broken sample. Its lines are JSON: `BrokenSample` by name, and rank.
        max_share: Largest share that is replaced, in [0, 1].
        num_samples: Size of the data; `ENDLESS` where nobody knows it.
        rank: This process.
        world_size: Number of ranks, or of groups of them that see the same samples, which share the data.
    """

    def __init__(self, path: Path, max_share: float, num_samples: int, *, rank: int = 0, world_size: int = 1) -> None:
        self.path = path
        self.max_share = max_share
        self.num_samples = num_samples
        self.rank = rank
        self.world_size = world_size
        self.num_drawn = 0
        self.known: dict[int, BrokenSample] = {}

    def go_back(self, epoch: int, position: int, *, rewrite: bool) -> None:
        """Forget what was listed from a place on, or cannot be read: a run that resumes there will meet it again.

        Args:
            epoch: Epoch of the place, from 0.
            position: Samples of that epoch that lie before the place.
            rewrite: Shorten the file too; true on one rank.
        """
        try:
            whole, _, _ = self.path.read_text(encoding="utf-8", errors="replace").rpartition("\n")
        except FileNotFoundError:  # or another rank has removed it by now
            whole = ""
        listed = filter(None, map(_read, whole.splitlines()))
        kept = [(sample, rank) for sample, rank in listed if (sample.epoch, sample.position) < (epoch, position)]
        self.num_drawn = (epoch * self.num_samples + position) // self.world_size
        self.known = {sample.index: sample for sample, rank in kept if rank == self.rank}
        if rewrite and not kept:
            self.path.unlink(missing_ok=True)
        elif rewrite:
            shorter = self.path.with_name(f"{self.path.name}.tmp")
            shorter.write_text("".join(_line(sample, rank) for sample, rank in kept), encoding="utf-8")
            shorter.replace(self.path)

    def draw(self, num_samples: int, broken: Iterable[BrokenSample]) -> list[BrokenSample]:
        """Count samples that were drawn and those of them that were broken.

        Returns:
            Those that were not known yet.

        Raises:
            UserError: Enough was drawn, and more than `max_share` of it is broken.
        """
        self.num_drawn += num_samples
        new = {sample.index: sample for sample in broken if sample.index not in self.known}
        self.known |= new
        if new:
            self._list(new.values())
        if self.known:
            self._judge()
        return list(new.values())

    def _list(self, new: Collection[BrokenSample]) -> None:
        for sample in new:
            print(f"WARNING   training sample {sample.index} is broken and was replaced: {sample.reason}", flush=True)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(_line(sample, self.rank) for sample in new))
        except OSError as error:
            print(f"WARNING   {self.path} does not list it: {first_line(error)}", flush=True)

    def _judge(self) -> None:
        drawn, share_of_rank = min(self.num_drawn, self.num_samples), self.num_samples // self.world_size
        if drawn >= min(ENOUGH_TO_JUDGE, share_of_rank) and len(self.known) > self.max_share * drawn:
            first = next(iter(self.known.values()))
            raise UserError(
                f"{len(self.known):,} of {drawn:,} training samples are broken, more than the share of "
                f"{self.max_share:g} that may be replaced (max_broken_share); the first is sample {first.index}: "
                f"{first.reason}; {self.path} lists them"
            )


def _line(sample: BrokenSample, rank: int) -> str:
    return json.dumps({**sample._asdict(), "rank": rank}) + "\n"


def _read(line: str) -> tuple[BrokenSample, int] | None:
    """Take a line of the list apart; None where it is none."""
    try:
        values = json.loads(line)
        index, reason, epoch, position, replaced_by = (values[name] for name in BrokenSample._fields)
        return BrokenSample(int(index), str(reason), int(epoch), int(position), int(replaced_by)), int(values["rank"])
    except (ValueError, TypeError, KeyError):
        return None
