"""Pretraining, from arguments to a finished folder."""

from dataclasses import replace
from pathlib import Path

import transformers
from transformers import TrainingArguments, set_seed

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.resolved import FILE_NAME, identity_settings, write_resolved
from hf_strategies.arguments.topics import trains
from hf_strategies.data import PreparedText
from hf_strategies.distributed.deepspeed_settings import asked_deepspeed
from hf_strategies.distributed.pipeline.place import asked_place
from hf_strategies.distributed.ranks import is_main_process
from hf_strategies.distributed.zero import num_parameters
from hf_strategies.reports import format_count
from hf_strategies.runs import startup
from hf_strategies.runs.cooldown import branch_cooldown
from hf_strategies.runs.fresh_model import unused_sizes
from hf_strategies.runs.job import announce, announce_checks, check_same_data, push, run_in_folder, say, train
from hf_strategies.runs.language_model import build_model, check_trusted, resolve_block_size, sketch_model
from hf_strategies.runs.machine import announce_machine
from hf_strategies.runs.output_folder import OutputFolder, check_named, write_results
from hf_strategies.runs.preflight import Run
from hf_strategies.runs.process import build_training_arguments, data_seed, prepare_cpu, settle_machine
from hf_strategies.runs.results import closing_table, own_package, record_run, write_reports
from hf_strategies.runs.text import broken_records, data_facts, prepare, source_name
from hf_strategies.runs.trainer import build_trainer
from hf_strategies.training import StrategyTrainer

PIPELINE_TAGS = {"causal": "text-generation", "masked": "fill-mask", "span": "text2text-generation"}


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
    threads = prepare_cpu() if arguments.training["use_cpu"] else None
    check_trusted(arguments.model)
    block_size = resolve_block_size(
        arguments.model, arguments.data.max_seq_length, objective=arguments.strategy.objective
    )
    trunk = arguments.strategy.cooldown_from
    if trunk:
        check_named(Path(trunk), setting="cooldown_from", trust_remote_code=arguments.model.trust_remote_code)
    planned = branch_cooldown(arguments, block_size=block_size) if trunk else arguments
    args = build_training_arguments(planned, max_seq_length=block_size)

    def run_there(folder: OutputFolder) -> dict[str, float]:
        begun = folder if folder.checkpoint is not None else replace(folder, checkpoint=trunk)
        return run(planned, args, begun, asked=arguments, block_size=block_size, threads=threads)

    return run_in_folder(arguments, args, run_there)


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
    notes = arguments.notes + folder.notes + unused_sizes(arguments.model)
    announce(arguments, args, folder, notes, threads=threads)
    if trains(arguments.training) and not arguments.model.trust_remote_code:
        # Code from the Hub may build its model in a way that only loading follows.
        model = sketch_model(arguments.model, block_size=block_size, objective=arguments.strategy.objective)
        announce_checks(Run(arguments, args, model, block_size=block_size, samples=None, folder=folder.path))
    text = prepare(
        arguments, block_size, seed=data_seed(args), samples=args.max_steps * startup.sequences_per_update(args)
    )
    set_seed(args.seed)
    model = build_model(
        arguments.model,
        text.tokenizer,
        block_size=block_size,
        isolate_documents=arguments.data.isolate_documents,
        rows=max(args.per_device_train_batch_size, args.per_device_eval_batch_size),
        objective=arguments.strategy.objective,
        place=asked_place(asked_deepspeed(args.deepspeed), rank=args.process_index),
    )
    say("data      " + text.report.summary().replace("\n", "\n          "))
    say(f"model     {startup.describe_model(arguments, model)}")
    trainer = build_trainer(arguments, args, model, text, folder.path)
    announce_machine(trainer, block_size=text.validation.block_size)
    trainer.checkpoint_facts = {"data": text.identity, "settings": identity_settings(asked)}
    trainer.changed_settings = folder.changed
    trainer.is_verified = folder.checkpoint != asked.strategy.cooldown_from  # opening its folder has read all of it
    training = trains(arguments.training)
    if training:
        if folder.checkpoint is not None and "data" not in (arguments.run.allow_change or ()):
            check_same_data(Path(folder.checkpoint), text.identity, "the text or its tokenizer has")
        announce_training(arguments, args, text)
    if is_main_process():
        write_resolved(asked, folder.path, f"Reruns this run: scripts/pretrain.py {folder.path / FILE_NAME}")
    results = train(trainer, folder) if training else {}
    results |= last_evaluation(trainer)
    return finish(asked, trainer, text, results, notes)


def announce_training(arguments: Arguments, args: TrainingArguments, text: PreparedText) -> None:
    """Say what will be trained, settle the warmup and check the schedule now that the run's length is known.

    Raises:
        UserError: The schedule's phases do not fit in the run.
    """
    samples = None if arguments.data.streaming else len(text.train)
    block_size = text.validation.block_size
    say(f"plan      {startup.describe_length(args, samples=samples, block_size=block_size)}")
    scale = startup.run_scale(args, samples=samples, block_size=block_size)
    startup.settle_schedule(arguments, args, scale)
    say(f"strategy  {startup.describe_strategy(arguments, args)}")
    for warning in startup.schedule_warnings(arguments, scale):
        say(f"warning   {warning}")


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
            title=f"{name}, {format_count(num_parameters(trainer.model))} parameters",
            summary=f"{trainer.state.global_step:,} updates on {source_name(arguments)}.",
            data=data_facts(text),
            model={
                "class": type(trainer.model).__name__,
                "parameters": num_parameters(trainer.model),
                "tokens per block": text.validation.block_size,
                "vocabulary": trainer.model.config.vocab_size,
            },
            results=results,
            notes=notes + text.report.notes + broken_records(text),
            pipeline_tag=PIPELINE_TAGS[arguments.strategy.objective],
            package=own_package(trainer.model),
        )
        write_reports(record, folder)
        write_results(results, folder)
    if trainer.args.push_to_hub:
        push(trainer, folder)
    for said in broken_records(text):
        say(said)
    say(closing_table(results, folder))
    return results
