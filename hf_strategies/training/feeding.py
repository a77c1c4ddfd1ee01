"""Trainer whose batches do not depend on workers or on a resume, and that outlives broken samples and dead workers."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import torch
from accelerate import skip_first_batches
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, Sampler, SequentialSampler
from transformers import default_data_collator, trainer_pt_utils

from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.errors import UserError
from hf_strategies.ranges import RATIO
from hf_strategies.training.feed.broken_samples import ENDLESS, FILE_NAME, BrokenSamples
from hf_strategies.training.feed.sample_feed import BrokenSample, FedBatch, PlacedOrder, SampleFeed, draws_nothing
from hf_strategies.training.feed.shared_end import Filler, share_end
from hf_strategies.training.feed.stream_feed import StreamFeed
from hf_strategies.training.feed.worker_deaths import Delivery, HeldSignal
from hf_strategies.training.host import Host

ORDERS_OF_BATCHES = (BatchSampler, getattr(trainer_pt_utils, "BatchRebalanceSampler", BatchSampler))


class FeedingMixin(Host):
    """Key what is drawn on examples by their place, replace samples that are broken, restart workers that die.

    Broken samples are listed in `broken_samples.jsonl` in the output folder. Of streamed data only what breaks the
    collator is replaced, by another sample of its batch, and no event tells of it; an error of the stream itself ends
    training, since a generator that has raised is over. The host's loader stays as it is where
    batches are dealt out by one rank (`dispatch_batches`) or made by a batch sampler (`batch_rebalance`): its order
    outlives a resume, but nothing is replaced, and what is drawn on examples is not keyed.

    Args:
        max_broken_share: Stop when more than this share of the training samples is broken.

    Raises:
        UserError: `max_broken_share` is no share; while training, too many samples are broken, or workers die again
            and again at one place.
    """

    data_collator: Any
    compute_loss_func: Any
    model_accepts_loss_kwargs: bool
    _replica: Any  # which replica of the data this process sees, and how many there are
    _sampler: Any = None  # the host's order of indices or batches, or ours with places
    _placed: PlacedOrder | None = None
    _keyed = False
    _list_broken: Callable[[], BrokenSamples] | None = None  # of a stream, where the list is the collating process's
    _broken: BrokenSamples | None = None
    _deaths: HeldSignal | None = None
    _delivery: Delivery | None = None
    _epoch = 0
    _batches_before = 0  # of the pass that comes next

    def __init__(self, *args: Any, max_broken_share: float = 0.01, **kwargs: Any) -> None:
        if not RATIO[0](max_broken_share):
            raise UserError(f"max_broken_share must be {RATIO[1]}, got {max_broken_share!r}")
        self.max_broken_share = max_broken_share
        self._indices: list[int] = []
        self._broken_now: list[BrokenSample] = []
        self._untold: list[tuple[str, dict[str, Any]]] = []
        super().__init__(*args, **kwargs)

    def current_samples(self) -> list[int]:
        """Return the indices of the samples that this rank trains on in the current update.

        Of streamed data, the numbers of the samples in their pass, from 0.
        """
        return list(self._indices)

    def _get_dataloader(
        self,
        dataset: Any,
        description: str,
        batch_size: int,
        sampler_fn: Callable[[Any], Sampler | None] | None = None,
        is_training: bool = False,
        **kwargs: Any,
    ) -> DataLoader:
        if not is_training:
            return super()._get_dataloader(dataset, description, batch_size, sampler_fn, is_training, **kwargs)
        streamed = isinstance(dataset, IterableDataset)
        sampler = None if streamed or sampler_fn is None else sampler_fn(dataset) or SequentialSampler(dataset)
        self._sampler, self._placed, self._list_broken, self._keyed = None, None, None, False
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        if not streamed:
            if self.accelerator.dispatch_batches or isinstance(sampler, ORDERS_OF_BATCHES):
                self._sampler = sampler
                return super()._get_dataloader(
                    dataset, description, batch_size, lambda _: sampler, is_training, **kwargs
                )
            assert sampler is not None
            sampler = self._sampler = self._placed = PlacedOrder(sampler, seed)
        collator = self.data_collator
        if isinstance(dataset, datasets.Dataset):
            feed_from, joined = self._remove_unused_columns(dataset, description=description), collator
        else:
            feed_from, joined = dataset, self._get_collator_with_removed_columns(collator, description=description)
        draws = collator is not default_data_collator or not draws_nothing(dataset)
        feed: StreamFeed | SampleFeed
        if streamed:
            self._list_broken = partial(
                BrokenSamples, self._broken_list, self.max_broken_share, ENDLESS, rank=self.args.process_index
            )
            feed = StreamFeed(feed_from, joined, seed, self._list_broken, draws=draws)
        else:
            assert self._placed is not None
            turns = len(self._placed) if self._placed.repeats else None
            feed = SampleFeed(feed_from, joined, seed, turns_per_epoch=turns, draws=draws)
        self.data_collator, self._keyed = feed.collate, True
        try:
            loader = super()._get_dataloader(feed, description, batch_size, lambda _: sampler, is_training, **kwargs)
        finally:
            self.data_collator = collator
        if self._placed is not None:
            # A sum over the labels of all ranks can do without one's; a mean over none of them cannot.
            summed = self.model_accepts_loss_kwargs or self.compute_loss_func is not None
            share_end(loader.batch_sampler, self._placed, self._replica[1], Filler if summed else tuple)
        return loader

    def _init_training_state(self, *args: Any, **kwargs: Any) -> tuple[int, int]:
        epoch, batches = super()._init_training_state(*args, **kwargs)
        self._batches_before = batches
        self._broken, self._untold = None, []
        if hasattr(self._sampler, "set_epoch"):
            self._sampler.set_epoch(epoch)  # accelerate's own call does not reach through a loader that skips batches
        if self._placed is not None:
            samples = batches * self.get_total_train_batch_size(self.args) // self.args.gradient_accumulation_steps
            self._broken = BrokenSamples(
                self._broken_list,
                self.max_broken_share,
                len(self._placed),
                rank=self.args.process_index,
                world_size=self._replica[1],
            )
            self._broken.go_back(epoch, samples, rewrite=self.is_world_process_zero())
        self._forget_broken(epoch)
        return epoch, batches

    @property
    def _broken_list(self) -> Path:
        return Path(self.args.output_dir, FILE_NAME)

    def _forget_broken(self, epoch: int) -> None:
        """Of a stream, whose pass will be read again from its beginning."""
        if self._list_broken is not None:
            self._list_broken().go_back(epoch, 0, rewrite=self.is_world_process_zero())

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        self._epoch, self._delivery = kwargs["epoch"], None
        self._deaths = HeldSignal(self.args.dataloader_num_workers > 0)
        try:
            super()._run_epoch(*args, **kwargs)
        finally:
            self._deaths.release()
            self._deaths = self._delivery = None
            self._batches_before = 0

    def get_batch_samples(
        self, epoch_iterator: Iterator, num_batches: int, device: torch.device
    ) -> tuple[list, Tensor | int | None]:
        if self._deaths is None:  # not within an epoch
            return super().get_batch_samples(epoch_iterator, num_batches, device)
        if self._delivery is None:
            self._delivery = Delivery(
                epoch_iterator,
                self._reopen,
                num_batches=self._batches_before,
                deaths=self._deaths,
                tell=self._tell_of_restart,
                keyed=self._keyed,
            )
        self._indices, self._broken_now = [], []
        fetched = super().get_batch_samples(map(self._take, self._delivery), num_batches, device)
        if self._broken is not None:
            found = self._broken.draw(len(self._indices), self._broken_now)
            self._untold += [("broken", sample._asdict()) for sample in found]
        return fetched

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        for kind, values in self._untold:
            for callback in self.callback_handler.callbacks:
                if isinstance(callback, EventLogCallback):
                    callback.append(kind, self.state, **values)
        self._untold = []
        super()._maybe_log_save_evaluate(*args, **kwargs)

    def _take(self, batch: Any) -> Any:
        """Take a collator's batch out of its wrapping, and note what it was made of."""
        if isinstance(batch, FedBatch):
            self._indices += batch.indices
            self._broken_now += batch.broken
            return batch.batch
        if self._keyed and self._placed is None:
            assert self._delivery is not None
            size, (replica, replicas) = self._train_batch_size, self._replica
            turn = (self._delivery.num_batches - 1) * replicas + replica
            self._indices += range(turn * size, (turn + 1) * size)
        return batch

    def _reopen(self, num_batches: int) -> Iterator:
        loader = self.callback_handler.train_dataloader
        left = self.accelerator.gradient_state.active_dataloader
        if left is not None:
            left.end()
        loader.base_dataloader._iterator = None  # with persistent workers it is kept, dead ones and all
        rest = skip_first_batches(loader, num_batches)
        rest.set_epoch(self._epoch)
        self._forget_broken(self._epoch)
        if hasattr(self._sampler, "set_epoch"):
            self._sampler.set_epoch(self._epoch)
        return iter(rest)

    def _tell_of_restart(self, num_batches: int, reason: str) -> None:
        print(f"WARNING   data loader restarted behind batch {num_batches} of this epoch: {reason}", flush=True)
        self._untold.append(("worker", {"batches": num_batches, "reason": reason}))
