"""Everything that a run would trip over, as a table, without beginning it."""

from pathlib import Path

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.texts import text_sources
from hf_strategies.arguments.topics import trains
from hf_strategies.arguments.tuning_topics import PRETRAIN
from hf_strategies.data.sources import find_documents
from hf_strategies.distributed.memory import available_memory
from hf_strategies.errors import UserError
from hf_strategies.planning.memory_request import plain_request
from hf_strategies.planning.planned_model import PlannedModel
from hf_strategies.planning.process_memory import process_memory
from hf_strategies.reports.terminal import format_bytes
from hf_strategies.runs.output_folder import RUNS
from hf_strategies.runs.preflight import ERROR, OK, Run, Verdict, preflight, shards
from hf_strategies.runs.process import build_training_arguments, settle_machine
from hf_strategies.runs.startup import describe_batch

BYTES_PER_TOKEN = 4.0  # of text, roughly, whatever the tokenizer: a plan does not read it


def check_run(arguments: Arguments) -> list[Verdict]:
    """Look at a run from all sides; nothing is written, and no data are read.

    Raises:
        UserError: There is no such model, or the run does not train.
    """
    arguments = settle_machine(arguments)
    if not trains(arguments.training):
        raise UserError("the run only evaluates: there is nothing to check before it")
    planned = PlannedModel(plain_request(arguments))
    try:
        args = build_training_arguments(arguments, max_seq_length=planned.length)
    except UserError as error:
        return [Verdict("batch", str(error), ERROR)]
    pretrains = arguments.job == PRETRAIN
    run = Run(
        arguments,
        args,
        planned.sketch(),
        block_size=planned.length if pretrains else None,
        samples=_samples(arguments, planned.length) if pretrains else None,
        folder=_nearest_folder(Path(arguments.training.get("output_dir") or RUNS).expanduser()),
    )
    found = [Verdict("batch", describe_batch(args, planned.length)), *preflight(run)]
    if shards(args) is not None:
        return found
    whole = _memory(planned, use_cpu=args.use_cpu, recompute=args.gradient_checkpointing)
    return [whole if verdict.name == "memory" and verdict.state == OK else verdict for verdict in found]


def describe_verdicts(verdicts: list[Verdict]) -> str:
    """Lay out verdicts as a table, whatever they say in full."""
    return "\n".join(f"{verdict.state:<7}  {verdict.name:<8}  {verdict.said}" for verdict in verdicts)


def _samples(arguments: Arguments, block_size: int) -> float | None:
    """Estimate the blocks of an epoch by the size of the text's files; None for a data set, and for a stream."""
    if arguments.data.dataset_name or arguments.data.streaming:
        return None
    documents, _ = find_documents(text_sources(arguments)[0])
    size = documents.num_bytes()
    if size is None:
        return None
    return min(size / BYTES_PER_TOKEN / block_size, arguments.data.max_train_samples or float("inf"))


def _memory(planned: PlannedModel, *, use_cpu: bool, recompute: bool) -> Verdict:
    needed = process_memory(planned, recompute=recompute and True in planned.ways).peak
    free = available_memory(use_cpu=use_cpu)
    told = f"{format_bytes(needed)} at once, of {format_bytes(free)} free"
    if needed <= free:
        return Verdict("memory", told)
    return Verdict("memory", f"{told}: scripts/plan.py memory says what would fit", ERROR)


def _nearest_folder(path: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
