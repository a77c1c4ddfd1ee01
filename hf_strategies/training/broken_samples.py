"""The list of samples that could not be trained on, and when they are too many."""

import json
from collections.abc import Iterable
from pathlib import Path

from hf_strategies.errors import UserError
from hf_strategies.training.sample_feed import BrokenSample

FILE_NAME = "broken_samples.jsonl"
ENOUGH_TO_JUDGE = 1_000  # samples after which the share of broken ones means something, or all there are


class BrokenSamples:
    """Lists each broken sample once, in a file too, and judges their share of what was drawn.

    Ranks write to the same file, and each judges what it has drawn itself.

    Args:
        path: The file; it appears with the first broken sample. Its lines are JSON: `BrokenSample` by name.
        max_share: Largest share that is replaced, in [0, 1].
        num_samples: Size of the data.
    """

    def __init__(self, path: Path, max_share: float, num_samples: int) -> None:
        self.path = path
        self.max_share = max_share
        self.num_samples = num_samples
        self.num_drawn = 0
        self.known: dict[int, BrokenSample] = {}

    def go_back(self, epoch: int, position: int, *, rewrite: bool) -> None:
        """Forget what was listed from a place on: a run that resumes there will meet it again.

        Args:
            epoch: Epoch of the place, from 0.
            position: Samples of that epoch that lie before the place.
            rewrite: Shorten the file too; true on one rank.
        """
        kept = []
        if self.path.is_file() and (epoch, position) > (0, 0):
            lines, _, _ = self.path.read_text(encoding="utf-8").rpartition("\n")
            listed = (BrokenSample(**json.loads(line)) for line in lines.splitlines())
            kept = [sample for sample in listed if (sample.epoch, sample.position) < (epoch, position)]
        self.num_drawn = epoch * self.num_samples + position
        self.known = {sample.index: sample for sample in kept}
        if rewrite and self.path.is_file():
            if not kept:
                self.path.unlink()
                return
            shorter = self.path.with_name(f"{self.path.name}.tmp")
            shorter.write_text("".join(map(_line, kept)), encoding="utf-8")
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
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(map(_line, new.values())))
        if self.known:
            self._judge()
        return list(new.values())

    def _judge(self) -> None:
        drawn = min(self.num_drawn, self.num_samples)
        if drawn >= min(ENOUGH_TO_JUDGE, self.num_samples) and len(self.known) > self.max_share * drawn:
            first = next(iter(self.known.values()))
            raise UserError(
                f"{len(self.known):,} of {drawn:,} training samples are broken, more than the share of "
                f"{self.max_share:g} that may be replaced (max_broken_share); the first is sample {first.index}: "
                f"{first.reason}; {self.path} lists them"
            )


def _line(sample: BrokenSample) -> str:
    return json.dumps(sample._asdict()) + "\n"
