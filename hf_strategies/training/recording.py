"""Trainer that writes down an update that was not taken."""

from pathlib import Path
from typing import Any

from torch import Tensor, distributed

from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.checkpoints.choice import checkpoints_in
from hf_strategies.errors import first_line
from hf_strategies.training.feeding import FeedingMixin
from hf_strategies.training.guard.incidents import write_incident
from hf_strategies.training.random_streams import RandomStreams
from hf_strategies.training.seeking import SeekingMixin


class RecordingMixin(FeedingMixin, SeekingMixin):
    """Say what an update consists of, and what became of it, so that it can be lived through again."""

    def _record(self, facts: dict[str, Any], losses: list[Tensor], random: RandomStreams) -> None:
        """Tell of the update under way: in a warning, in the log of events, and in a file of its own.

        Args:
            facts: What happened.
            losses: Of this rank's micro-batches.
            random: This rank's random streams before the first of them.
        """
        mine = {
            "examples": self.current_samples(),
            "micro_losses": [loss.item() for loss in losses],
            "random": random.as_json(),
        }
        ranks: list[Any] = [mine]
        if self.args.world_size > 1:
            ranks = [None] * self.args.world_size
            distributed.all_gather_object(ranks, mine)
        if not self.is_world_process_zero():
            return
        update = self.state.global_step + 1
        # Once each: stages of a pipeline have the same.
        facts["examples"] = list(dict.fromkeys(index for rank in ranks for index in rank["examples"]))
        back = f", back to step {facts['returned_to']}" if facts.get("returned_to") is not None else ""
        print(f"WARNING   update {update} was not taken: {facts['reason']} ({facts['action']}{back})", flush=True)
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, EventLogCallback):
                callback.append("guard", self.state, **{"step": update, **facts})
        newest = checkpoints_in(self._run_folder())[:1]
        facts |= {"checkpoint": newest[0].name if newest else None, "ranks": ranks}
        try:
            write_incident(self._run_folder(), update, facts)
        except OSError as error:
            print(f"WARNING   incident-{update}.json could not be written: {first_line(error)}", flush=True)

    def _place(self) -> dict[str, Any]:
        """Say where in the order of samples the update under way begins and ends."""
        position = self._position()
        end = position.samples_in_epoch + position.feed.samples_per_update
        if position.feed.num_samples is not None:
            end = min(end, position.feed.num_samples)
        return {"epoch": position.epoch, "samples": [position.samples_in_epoch, end]}

    def _run_folder(self) -> Path:
        return Path(self._get_output_dir(self._trial))
