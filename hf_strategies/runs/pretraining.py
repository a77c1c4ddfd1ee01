"""Pretraining, from arguments to a finished folder."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import transformers
from transformers import TrainerState, TrainingArguments, set_seed

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.resolved import FILE_NAME, write_resolved
from hf_strategies.arguments.topics import ModelArguments, trains
from hf_strategies.data import PreparedText, StreamingBlocks, TextSource, TokenizerRequest, prepare_text
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.distributed.ranks import is_main_process
from hf_strategies.errors import UserError, first_line
from hf_strategies.reports import format_count
from hf_strategies.runs import startup
from hf_strategies.runs.agreement import decide_together
from hf_strategies.runs.cooldown import branch_cooldown
from hf_strategies.runs.language_model import build_model, load_tokenizer, resolve_block_size, unused_sizes
from hf_strategies.runs.output_folder import OutputFolder, open_output_folder, write_results
from hf_strategies.runs.process import build_training_arguments, settle_machine, use_all_cores
from hf_strategies.runs.results import closing_table, record_run, write_reports
from hf_strategies.runs.trainer import build_trainer, check_param_groups
from hf_strategies.schedulers import SCHEDULERS, check_schedule
from hf_strategies.training import StrategyTrainer


def pretrain(arguments: Arguments) -> dict[str, float]:
    """Train (and evaluate) as `arguments` say, and leave a finished folder.

    Returns:
        What `all_results.json` holds.

    Raises:
        UserError: Something that was asked for cannot be had; nothing half-written is left.
    """
    transformers.logging.set_verbosity_warning()
    transformers.logging.disable_progress_bar()  # of loading and saving; ours show what takes long
    arguments = settle_machine(arguments)
    threads = use_all_cores() if arguments.training["use_cpu"] else None
    block_size = resolve_block_size(arguments.model, arguments.data.max_seq_length)
    trunk = arguments.strategy.cooldown_from
    planned = branch_cooldown(arguments, block_size=block_size) if trunk else arguments
    args = build_training_arguments(planned, max_seq_length=block_size)
    folder = decide_together(lambda: open_output_folder(arguments))
    if folder.checkpoint is None:
        folder = replace(folder, checkpoint=trunk)
    args.output_dir = str(folder.path)
    try:
        if folder.results is not None:
            results = report_finished(folder, push_to_hub=args.push_to_hub)
        else:
            results = run(planned, args, folder, asked=arguments, block_size=block_size, threads=threads)
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


def run(
    arguments: Arguments,
    args: TrainingArguments,
    folder: OutputFolder,
    *,
    asked: Arguments,
    block_size: int,
    threads: int | None,
) -> dict[str, float]:
    """Do what is left to do in an open folder; errors are those of `pretrain`.

    Args:
        arguments: What is run.
        args: The host's part of it.
        folder: Where it is run.
        asked: What was asked for, which reruns it: of a cooldown, the trunk's settings.
        block_size: Tokens per sequence.
        threads: Of the CPU; None on another device.
    """
    notes = arguments.notes + unused_sizes(arguments.model)
    for note in notes:
        say(f"note      {note}")
    say(f"device    {startup.describe_precision(arguments, args, threads)}")
    say(f"output    {folder.path}" + (f", resuming from {folder.checkpoint}" if folder.checkpoint else ""))
    if trains(arguments.training):
        check_param_groups(arguments, args, block_size=block_size)
    text = prepare(arguments, block_size)
    set_seed(args.seed)
    model = build_model(
        arguments.model, text.tokenizer, block_size=block_size, isolate_documents=arguments.data.isolate_documents
    )
    say("data      " + text.report.summary().replace("\n", "\n          "))
    say(f"model     {startup.describe_model(arguments, model)}")
    trainer = build_trainer(arguments, args, model, text, folder.path)
    training = trains(arguments.training)
    if training:
        announce_training(arguments, args, text)
    if is_main_process():
        write_resolved(asked, folder.path, f"Reruns this run: scripts/pretrain.py {folder.path / FILE_NAME}")
    results: dict[str, float] = {}
    if training:
        results |= train(trainer, folder.checkpoint)
        trainer.save_model(_internal_call=True)
        trainer.save_state()
    results |= last_evaluation(trainer)
    return finish(asked, trainer, text, results, notes)


def train(trainer: StrategyTrainer, checkpoint: str | None) -> dict[str, float]:
    """Train, from a checkpoint if there is one; a checkpoint of the last update is only loaded.

    Returns:
        What training logged at its end.
    """
    state = TrainerState.load_from_json(str(Path(checkpoint, "trainer_state.json"))) if checkpoint else None
    length = trainer.args.max_steps if trainer.args.max_steps > 0 else state and state.max_steps
    if state is None or state.global_step < length:
        return trainer.train(resume_from_checkpoint=checkpoint).metrics
    trainer._load_from_checkpoint(checkpoint)  # the host would train one update more than was asked for
    trainer.state = state
    rates = [row["tokens_per_second"] for row in state.log_history if "tokens_per_second" in row]
    return {"train_tokens_per_second": sum(rates) / max(len(rates), 1)}


def announce_training(arguments: Arguments, args: TrainingArguments, text: PreparedText) -> None:
    """Say what will be trained, settle the warmup and check the schedule now that the run's length is known.

    Raises:
        UserError: The schedule's phases do not fit in the run.
    """
    samples = None if arguments.data.streaming else len(text.train)
    block_size = text.validation.block_size
    say(f"batch     {startup.describe_batch(args, block_size)}")
    say(f"plan      {startup.describe_length(args, samples=samples, block_size=block_size)}")
    scale = startup.run_scale(args, samples=samples, block_size=block_size)
    warmup = arguments.training.get("warmup_steps") or 0
    args.warmup_steps = scale.updates("warmup_steps", warmup, rounding=math.ceil)
    say(f"strategy  {startup.describe_strategy(arguments, args)}")
    strategy = arguments.strategy
    if strategy.scheduler is not None:
        check_schedule(SCHEDULERS[strategy.scheduler], scale, args.warmup_steps, strategy.scheduler_kwargs or {})


def prepare(arguments: Arguments, block_size: int) -> PreparedText:
    """Read, tokenize and pack the text that was named; one process does it for all."""
    data, model = arguments.data, arguments.model
    columns = {"text_column": data.text_column}
    only_validation = not (data.train_file or data.dataset_name or trains(arguments.training))
    train_files = data.validation_file if only_validation else data.train_file
    train = TextSource(
        files=tuple(train_files or ()),
        dataset_name=data.dataset_name,
        dataset_config_name=data.dataset_config_name,
        **columns,
    )
    validation = TextSource(files=tuple(data.validation_file), **columns) if data.validation_file else None
    return prepare_text(
        train,
        validation,
        tokenizer=load_tokenizer(model) or request_tokenizer(model),
        block_size=block_size,
        validation_share=data.validation_share,
        max_broken_share=data.max_broken_share,
        max_train_blocks=data.max_train_samples,
        max_eval_blocks=data.max_eval_samples,
        isolate_documents=data.isolate_documents,
        streaming=data.streaming,
        num_workers=data.preprocessing_num_workers,
        show_progress=is_main_process(),
    )


def request_tokenizer(model: ModelArguments) -> TokenizerRequest:
    """Ask for the tokenizer that is to be trained; only BPE has a size to choose."""
    kind = model.tokenizer or "bpe"
    return TokenizerRequest(kind=kind, vocab_size=model.vocab_size if kind == "bpe" else None)


def say(line: str) -> None:
    """Print from the main process, at once."""
    if is_main_process():
        print(line, flush=True)


def last_evaluation(trainer: StrategyTrainer) -> dict[str, float]:
    """Evaluate the final weights, unless the last thing that training did was just that."""
    history, step = trainer.state.log_history, trainer.state.global_step
    done = [row for row in history if "eval_loss" in row and row["step"] == step]
    if done and not trainer.args.load_best_model_at_end:
        return {name: value for name, value in done[-1].items() if name not in ("step", "epoch")}
    return trainer.evaluate()


def finish(
    arguments: Arguments,
    trainer: StrategyTrainer,
    text: PreparedText,
    results: dict[str, float],
    notes: list[str],
) -> dict[str, float]:
    """Write the report, the model card and, last of all, `all_results.json`: a folder that has it is finished."""
    results["perplexity"] = results["eval_perplexity"]
    folder = Path(trainer.args.output_dir)
    if is_main_process():
        name = arguments.model.model_name_or_path or arguments.model.architecture
        record = record_run(
            arguments,
            folder,
            script="scripts/pretrain.py",
            title=f"{name}, {format_count(trainer.model.num_parameters())} parameters",
            summary=f"{trainer.state.global_step:,} updates on {source_name(arguments)}.",
            data=data_facts(text),
            model={
                "class": type(trainer.model).__name__,
                "parameters": trainer.model.num_parameters(),
                "tokens per block": text.validation.block_size,
                "vocabulary": trainer.model.config.vocab_size,
            },
            results=results,
            notes=notes + broken_records(text),
        )
        write_reports(record, folder)
        write_results(results, folder)
    if trainer.args.push_to_hub:
        push(trainer, folder)
    for said in broken_records(text):
        say(said)
    say(closing_table(results, folder))
    return results


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


def broken_records(text: PreparedText) -> list[str]:
    """Say which records were skipped, while preparing and, of a stream, while training."""
    streamed = text.train.broken.summary() if isinstance(text.train, StreamingBlocks) else ""
    return [said for said in (text.report.broken, streamed) if said]


def data_facts(text: PreparedText) -> dict[str, Any]:
    """Count both sides of the data, for the report."""
    facts: dict[str, Any] = {
        f"{side} {what}": count
        for side, counts in text.report.sides.items()
        for what, count in counts._asdict().items()
    }
    return {**facts, "bytes per token": round(text.report.bytes_per_token, 3)}


def source_name(arguments: Arguments) -> str:
    """Say in a few words what the run read."""
    if arguments.data.dataset_name:
        return arguments.data.dataset_name
    if arguments.data.train_file:
        return ", ".join(Path(name).name for name in arguments.data.train_file)
    return "the Python standard library's source"
