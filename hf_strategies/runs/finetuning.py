"""Fine-tuning, from arguments to a finished folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers
from torch import nn
from transformers import TrainingArguments, set_seed

from hf_strategies.adapters.merging import merge_adapter
from hf_strategies.arguments import Arguments
from hf_strategies.arguments.resolved import FILE_NAME, identity_settings, write_resolved
from hf_strategies.arguments.topics import trains
from hf_strategies.distributed.ranks import is_main_process
from hf_strategies.distributed.zero import num_parameters
from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.models.factory import count_parameters
from hf_strategies.reports import format_count
from hf_strategies.reports.confusion import confusion_lines
from hf_strategies.reports.predictions import PredictionReport
from hf_strategies.runs import startup
from hf_strategies.runs.adapter_settings import adapter_base, settle_adapter
from hf_strategies.runs.augmenting import build_augmentation
from hf_strategies.runs.costs import describe_costs
from hf_strategies.runs.job import announce, announce_checks, check_same_data, push, run_in_folder, say, train
from hf_strategies.runs.language_model import check_trusted
from hf_strategies.runs.machine import announce_machine
from hf_strategies.runs.output_folder import OutputFolder, write_results
from hf_strategies.runs.preflight import Run
from hf_strategies.runs.process import build_training_arguments, data_seed, prepare_cpu, settle_machine
from hf_strategies.runs.rate_by_width import settle_rate
from hf_strategies.runs.recipe_choice import JobFacts, choose_recipe, too_little_data
from hf_strategies.runs.results import closing_table, own_package, record_run, write_reports
from hf_strategies.runs.row_tokenizer import train_on_rows
from hf_strategies.runs.tuned_model import build_tuned_model
from hf_strategies.runs.tuned_pictures import processor_of
from hf_strategies.runs.tuned_predictions import report_predictions
from hf_strategies.runs.tuned_rows import Job, prepare, settle_length, unpack_where_seen
from hf_strategies.runs.tuned_samples import sample_callbacks
from hf_strategies.runs.tuned_trainer import build_tuned_trainer, choose_objective
from hf_strategies.tasks import TASKS
from hf_strategies.tasks.task import Task, TaskSettings

MERGED = "merged"  # the folder of a checkpoint with its adapter merged into it


def finetune(arguments: Arguments, stand_on: Callable[[str], Arguments] | None) -> dict[str, float]:
    """Fine-tune (and evaluate) as `arguments` say, and leave a finished folder.

    Args:
        arguments: What was asked for.
        stand_on: Reads the same command line on top of another shipped recipe; None where the user has named one.

    Returns:
        What `all_results.json` holds.

    Raises:
        UserError: Something that was asked for cannot be had; nothing half-written is left.
    """
    transformers.logging.set_verbosity_warning()
    transformers.logging.disable_progress_bar()
    check_trusted(arguments.model)
    job = prepare(arguments)
    if stand_on is not None:
        facts = JobFacts(
            task=str(arguments.task.task),
            num_examples=len(job.sides.train),
            num_classes=len(job.task.config["id2label"]) if job.task.classes(job.sides.train) else 0,
            num_parameters=count_parameters(job.config, job.task.head) if job.config else 0,
            linear_probe=arguments.weights.linear_probe,
        )
        name, why = choose_recipe(facts)
        arguments = stand_on(name)
        job = prepare(arguments, job)  # the recipe may have its own lengths
        job.notes += [f"recipe {name}: {why}", *filter(None, [too_little_data(facts)])]
    if job.processor is None:
        job.processor = train_on_rows(arguments.model, job.task, job.sides.train)
        job.notes.append(f"the tokenizer was trained on the rows: {len(job.processor):,} tokens")
    arguments = settle_rate(settle_adapter(settle_length(arguments, job)), getattr(job.config, "hidden_size", None))
    arguments = settle_machine(arguments)
    check_metric(arguments, job.task)
    threads = prepare_cpu() if arguments.training["use_cpu"] else None
    args = build_training_arguments(
        arguments,
        max_seq_length=arguments.data.max_seq_length or TaskSettings.max_seq_length,
        metric=job.task.metric,
        greater_is_better=job.task.greater_is_better,
        generated_tokens=arguments.task.max_target_length if job.task.head == "seq2seq" else None,
    )
    return run_in_folder(arguments, args, lambda folder: run(arguments, args, folder, job, threads=threads))


def run(
    arguments: Arguments, args: TrainingArguments, folder: OutputFolder, job: Job, *, threads: int | None
) -> dict[str, float]:
    """Do what is left to do in an open folder; errors are those of `finetune`."""
    task, sides, seed = job.task, job.sides, data_seed(args)
    objective = choose_objective(arguments, task, task.classes(sides.train))
    set_seed(args.seed)
    tuned = build_tuned_model(arguments, args, task, job.processor, sides.train, job.config)
    augment, said = build_augmentation(arguments, task, job.processor, sides.train, tuned.model, seed=seed)
    said = [*said, *unpack_where_seen(task, tuned.model, args)]
    training = task.dataset("train", sides.train, job.processor, seed=seed, augment=augment)
    validation = task.dataset("validation", sides.validation, job.processor, seed=seed)
    notes = [*arguments.notes, *folder.notes, *job.notes, *task.notes, *tuned.notes, *said]
    announce(arguments, args, folder, notes, threads=threads)
    held = f"{len(sides.validation):,} to validate ({sides.held_out})"
    say(f"data      {len(sides.train):,} examples to train on, {held}")
    say(f"model     {startup.describe_model(arguments, tuned.model)}, {describe_trained(tuned.model)}")
    wanted = trains(arguments.training)
    if wanted:
        announce_checks(Run(arguments, args, tuned.model, block_size=None, samples=len(training), folder=folder.path))
        announce_training(arguments, args, len(training))
    trainer = build_tuned_trainer(
        arguments, args, tuned.model, task, job.processor, training, validation, objective=objective,
        saved=processor_of(task, job.processor, sides.train), folder=folder.path,
    )  # fmt: skip
    announce_machine(trainer, block_size=None)
    for callback in sample_callbacks(arguments, task, sides.validation, job.processor, folder.path):
        trainer.add_callback(callback)
    trainer.checkpoint_facts = {"data": sides.identity, "settings": identity_settings(arguments)}
    trainer.changed_settings = folder.changed
    trainer.is_verified = True  # opening the folder has read all of its checkpoint
    if wanted and folder.checkpoint is not None and "data" not in (arguments.run.allow_change or ()):
        check_same_data(Path(folder.checkpoint), sides.identity, "the examples have")
    if is_main_process():
        write_resolved(arguments, folder.path, f"Reruns this run: scripts/finetune.py {folder.path / FILE_NAME}")
    results = train(trainer, folder) if wanted else {}
    predictions, scores = report_predictions(trainer, task, validation, sides.validation)
    results |= {**scores, **describe_costs(sides, args.device, trained=num_parameters(tuned.model, trained_only=True))}
    finish(arguments, trainer, job, results, notes, predictions)
    return results


def announce_training(arguments: Arguments, args: TrainingArguments, samples: int) -> None:
    """Say what will be trained, settle the warmup and check the schedule now that the run's length is known.

    Raises:
        UserError: The schedule's phases do not fit in the run.
    """
    scale = startup.run_scale(args, samples=samples, block_size=None)
    assert scale.updates_per_epoch is not None
    epochs = scale.num_training_steps / scale.updates_per_epoch
    say(f"plan      {scale.num_training_steps:,} updates, {epochs:.3g} epochs of {samples:,} samples")
    startup.settle_schedule(arguments, args, scale)
    say(f"strategy  {startup.describe_strategy(arguments, args)}")
    for warning in startup.schedule_warnings(arguments, scale):
        say(f"warning   {warning}")


def finish(
    arguments: Arguments,
    trainer: Any,
    job: Job,
    results: dict[str, float],
    notes: list[str],
    predictions: PredictionReport | None,
) -> None:
    """Write the merged model, the report, the model card and, last of all, `all_results.json`."""
    folder, trained_on = Path(trainer.args.output_dir), len(job.sides.train)
    merged = arguments.weights.merge_adapter
    if is_main_process():
        if merged:
            merge_adapter(trainer.model).save_pretrained(folder / MERGED)
            if trainer.processing_class is not None:
                trainer.processing_class.save_pretrained(folder / MERGED)
        record = record_run(
            arguments,
            folder,
            script="scripts/finetune.py",
            title=f"{arguments.model.model_name_or_path or arguments.model.architecture}, {arguments.task.task}",
            summary=f"{trainer.state.global_step:,} updates on {trained_on:,} examples.",
            data={"training examples": trained_on, "validation examples": len(job.sides.validation)},
            model={"class": type(trainer.model).__name__, "parameters": describe_trained(trainer.model)},
            results=results,
            notes=notes,
            pipeline_tag=TASKS[str(arguments.task.task)].facts["pipeline"],
            package=own_package(trainer.model),
            predictions=predictions,
            adapter_base=None if merged else adapter_base(arguments, job.task, trainer.model),
            weights=MERGED if merged else "",
        )
        record.is_grey = "image" in job.sides.train[0] and len(job.sides.train[0]["image"]) == 1
        write_reports(record, folder)
        write_results(results, folder)
    if trainer.args.push_to_hub:
        push(trainer, folder)
    if predictions is not None:
        say(f"\n{confusion_lines(predictions.confusion)}")
    say(closing_table(results, folder))


def check_metric(arguments: Arguments, task: Task) -> None:
    """Refuse to choose the best checkpoint by what no evaluation reports.

    Raises:
        UserError: Its user asked for that.
    """
    chosen, known = arguments.values.get("metric_for_best_model"), ("loss", *task.metrics)
    if chosen is None or chosen.value is None or (name := str(chosen.value).removeprefix("eval_")) in known:
        return
    raise UserError(
        f"{chosen.where}: metric_for_best_model: no evaluation of {arguments.task.task} reports {name!r}"
        f"{did_you_mean(name, known)} (reported: {', '.join(known)})"
    )


def describe_trained(model: nn.Module) -> str:
    """Say how many parameters learn, of how many."""
    total, trained = num_parameters(model), num_parameters(model, trained_only=True)
    return f"{format_count(trained)} of {format_count(total)} parameters learn ({trained / total:.1%})"
