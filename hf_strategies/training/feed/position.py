"""Where a run stands in its data: a count of samples, which outlives a change of ranks, batch size or accumulation."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hf_strategies.errors import UserError, first_line

FILE_NAME = "position.json"


@dataclass(frozen=True, kw_only=True)
class Feed:
    """How a run takes its data.

    Args:
        num_samples: Size of the data; None where it is streamed.
        data_seed: Seed of the order; None where the order is not ours.
        samples_per_update: Global batch: samples of all ranks in one optimizer update.
        balance: How often the classes come, in words; None where that is left to the data.
    """

    num_samples: int | None
    data_seed: int | None
    samples_per_update: int
    balance: str | None = None


@dataclass(frozen=True, kw_only=True)
class Position:
    """What a checkpoint remembers about the data.

    Args:
        epoch: Pass over the data, from 0.
        samples_in_epoch: Samples of that pass already trained on, by all ranks together.
        feed: How the run that wrote the checkpoint took its data.
        stream: Where the reader of streamed data stands; None where nothing is streamed, or it cannot be said.
    """

    epoch: int
    samples_in_epoch: int
    feed: Feed
    stream: dict[str, Any] | None = None

    @classmethod
    def load(cls, checkpoint: Path) -> "Position | None":
        """Read the position that stands in a checkpoint; None where there is none (a plain Trainer's).

        Raises:
            UserError: The file is damaged.
        """
        path = checkpoint / FILE_NAME
        if not path.is_file():
            return None
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**stored, "feed": Feed(**stored["feed"])})
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"{path}: damaged ({first_line(error)}): resume from an earlier checkpoint") from error

    def save(self, checkpoint: Path) -> None:
        """Write the position into a checkpoint's folder, which may not be there yet."""
        checkpoint.mkdir(parents=True, exist_ok=True)
        (checkpoint / FILE_NAME).write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")


def samples_done(progress: float, *, batches_per_epoch: int, samples_per_batch: int) -> tuple[int, int]:
    """Turn Trainer's progress into whole epochs and the samples of the unfinished one.

    Args:
        progress: `TrainerState.epoch` after an update: the epoch plus the share of its batches that is done (a float,
            but off by far less than one batch).
        batches_per_epoch: Micro-batches of one rank in an epoch.
        samples_per_batch: Samples in one micro-batch of all ranks together.

    Returns:
        Epochs finished, and samples done in the next.
    """
    epoch = max(math.ceil(progress) - 1, 0)
    batches = round((progress - epoch) * batches_per_epoch)
    return (epoch + 1, 0) if batches == batches_per_epoch else (epoch, batches * samples_per_batch)


def updates_to(position: Position, feed: Feed) -> int:
    """Count the updates that lead to `position` in its epoch when data is taken as `feed` says.

    Raises:
        UserError: The data or its order is another, or the position does not fall between two updates.
    """
    then = position.feed
    if (then.num_samples, then.data_seed) != (feed.num_samples, feed.data_seed):
        raise UserError(
            f"the checkpoint stands in an order of {then.num_samples} samples with data_seed {then.data_seed}, this "
            f"run has {feed.num_samples} with data_seed {feed.data_seed}: give it the same data and data_seed, or "
            "start a new pass over the data with ignore_data_skip"
        )
    if then.balance != feed.balance:
        raise UserError(
            f"the checkpoint stands in an order with {then.balance or 'no class balance'}, this run has "
            f"{feed.balance or 'none'}: balance the classes alike, or start a new pass over the data with "
            "ignore_data_skip"
        )
    updates, rest = divmod(position.samples_in_epoch, feed.samples_per_update)
    if rest:
        raise UserError(
            f"the checkpoint stands after {position.samples_in_epoch} samples of epoch {position.epoch}: expected a "
            f"global batch that divides them, such as the checkpoint's {then.samples_per_update}, got "
            f"{feed.samples_per_update} (per_device_train_batch_size x ranks x gradient_accumulation_steps)"
        )
    return updates


def check_global_batch(position: Position, feed: Feed) -> None:
    """Refuse to resume a run whose length is given in epochs with another global batch.

    Its length in updates would be another one, while the checkpoint's count of updates and its schedule are not.

    Raises:
        UserError: The global batch is another.
    """
    then, now = position.feed.samples_per_update, feed.samples_per_update
    if now != then:
        raise UserError(
            f"expected the checkpoint's global batch of {then} samples, since num_train_epochs counts updates of that "
            f"size, got {now}: set gradient_accumulation_steps to keep it, or give the run's length as max_steps"
        )
