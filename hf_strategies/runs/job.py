"""What every job does around its training: open its folder, go on or refuse to, and leave it finished."""

from collections.abc import Callable, Sequence
from pathlib import Path

from transformers import TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from hf_strategies.arguments import Arguments
from hf_strategies.checkpoints.manifest import read_manifest
from hf_strategies.distributed.agreement import decide_together
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.distributed.ranks import is_main_process
from hf_strategies.errors import StoppedError, UserError, first_line
from hf_strategies.runs import startup
from hf_strategies.runs.output_folder import OutputFolder, open_output_folder
from hf_strategies.runs.preflight import Run, preflight, require
from hf_strategies.runs.results import closing_table
from hf_strategies.runs.script import outlast_first_signal
from hf_strategies.training import StrategyTrainer


def run_in_folder(
    arguments: Arguments, args: TrainingArguments, run: Callable[[OutputFolder], dict[str, float]]
) -> dict[str, float]:
    """Open the output folder and do what is left to do there.

    Args:
        arguments: What was asked for.
        args: The host's part of it; takes the folder's path.
        run: Does it, and returns what `all_results.json` is to hold.

    Returns:
        What `all_results.json` holds.

    Raises:
        UserError: Something that was asked for cannot be had; nothing half-written is left.
    """
    folder = decide_together(lambda: open_output_folder(arguments))
    args.output_dir = str(folder.path)
    try:
        finished = folder.results is not None
        results = report_finished(folder, push_to_hub=args.push_to_hub) if finished else run(folder)
    except UserError:
        if is_main_process():
            folder.give_back()
        raise
    leave_process_group()
    return results


def report_finished(folder: OutputFolder, *, push_to_hub: bool) -> dict[str, float]:
    """Say what a run that is already finished came to.

    Raises:
        UserError: It was to be pushed: that is another command by now.
    """
    assert folder.results is not None
    if push_to_hub:
        raise UserError(f"{folder.path} holds this run, finished: upload it with `hf upload NAME {folder.path}`")
    say(f"{folder.path} holds this run, finished\n{closing_table(folder.results, folder.path)}")
    return folder.results


def check_same_data(checkpoint: Path, identity: str | None, what: str) -> None:
    """Refuse to go on from a checkpoint with other data than it was trained on.

    Args:
        checkpoint: Where training goes on from.
        identity: Digest of the data that there are; None where nobody can tell.
        what: The data, in words.

    Raises:
        UserError: They are others.
    """
    earlier = (read_manifest(checkpoint) or {}).get("data")
    if earlier is not None and identity is not None and earlier != identity:
        raise UserError(
            f"{what} changed since {checkpoint}: digest {earlier} there, {identity} here; "
            "restore it, choose another output_dir, or go on with --allow_change data"
        )


def announce(
    arguments: Arguments, args: TrainingArguments, folder: OutputFolder, notes: Sequence[str], *, threads: int | None
) -> None:
    """Say what a user should know, on what a job runs, and where it leaves its results.

    Args:
        arguments: What is run.
        args: The host's part of it.
        folder: Where it is run.
        notes: For its user.
        threads: Of the CPU; None on another device.
    """
    for note in notes:
        say(f"note      {note}")
    say(f"device    {startup.describe_precision(arguments, args, threads)}")
    say(f"output    {folder.path}" + (f", resuming from {folder.checkpoint}" if folder.checkpoint else ""))


def announce_checks(run: Run) -> None:
    """Say that a run may begin, and what its user should think about first.

    Raises:
        UserError: It would trip over something later.
    """
    for line in require(preflight(run)):
        say(f"checks    {line}")


def train(trainer: StrategyTrainer, folder: OutputFolder) -> dict[str, float]:
    """Train, from the folder's checkpoint if there is one, and save the model.

    Returns:
        What training logged at its end.

    Raises:
        StoppedError: Training was stopped; the same command goes on from there.
    """
    metrics = trainer.train(resume_from_checkpoint=folder.checkpoint).metrics
    refuse_to_finish(trainer, folder.path)
    outlast_first_signal()
    trainer.save_last()
    rates = [row["tokens_per_second"] for row in trainer.state.log_history if "tokens_per_second" in row]
    speed = {"train_tokens_per_second": sum(rates) / len(rates)} if rates else {}
    counted = {name: value for name, value in metrics.items() if name != "train_tokens_per_second" or value}
    return {**speed, **counted}  # the host counts 0 tokens of pictures


def refuse_to_finish(trainer: StrategyTrainer, folder: Path) -> None:
    """Leave the folder as it is where training was stopped: the same command goes on from there.

    Raises:
        StoppedError: It was; says by what, and how it goes on.
    """
    if trainer.stopped_by is None:
        return
    state = trainer.state
    checkpoint = folder / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
    left = (
        f"{checkpoint} is saved" if checkpoint.is_dir() else f"{checkpoint} could not be saved, those before it stay"
    )
    leave_process_group()
    raise StoppedError(
        f"{trainer.stopped_by} after update {state.global_step} of {state.max_steps}; {left}: go on with the same "
        f"command and --output_dir {folder}"
    )


def push(trainer: StrategyTrainer, folder: Path) -> None:
    """Upload a finished folder.

    Raises:
        UserError: The Hub did not take it; the run is finished all the same.
    """
    try:
        trainer.push_to_hub()
    except Exception as error:  # the network has errors of every kind
        raise UserError(
            f"the run is finished in {folder}, but the Hub did not take it: {first_line(error)}; "
            f"try again with: hf upload {trainer.hub_model_id} {folder}"
        ) from error


def say(line: str) -> None:
    """Print from the main process, at once."""
    if is_main_process():
        print(line, flush=True)
