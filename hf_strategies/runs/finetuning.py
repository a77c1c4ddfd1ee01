"""Fine-tuning, from arguments to a finished folder."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import transformers
from torch import nn
from transformers import TrainingArguments, set_seed

from hf_strategies.adapters import ADAPTERS
from hf_strategies.adapters.merging import merge_adapter
from hf_strategies.arguments import Arguments
from hf_strategies.arguments.resolved import FILE_NAME, identity_settings, write_resolved
from hf_strategies.arguments.topics import trains
from hf_strategies.data.labelled import Sides
from hf_strategies.data.sources import DataSource
from hf_strategies.distributed.ranks import is_main_process
from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.reports import format_count
from hf_strategies.reports.confusion import confusion_lines
from hf_strategies.runs import startup
from hf_strategies.runs.adapter_settings import settle_adapter
from hf_strategies.runs.augmenting import build_augmentation
from hf_strategies.runs.costs import describe_costs
from hf_strategies.runs.job import check_same_data, push, refuse_to_finish, run_in_folder, say, train
from hf_strategies.runs.language_model import check_trusted
from hf_strategies.runs.output_folder import OutputFolder, write_results
from hf_strategies.runs.process import build_training_arguments, data_seed, settle_machine, use_all_cores
from hf_strategies.runs.recipe_choice import JobFacts, choose_recipe, too_little_data
from hf_strategies.runs.results import closing_table, record_run, write_reports
from hf_strategies.runs.script import outlast_first_signal
from hf_strategies.runs.tuned_model import (
    build_tuned_model,
    count_parameters,
    known_classes,
    load_processor,
    sequence_length,
)
from hf_strategies.runs.tuned_pictures import processor_of
from hf_strategies.runs.tuned_predictions import report_predictions
from hf_strategies.runs.tuned_samples import sample_callbacks
from hf_strategies.runs.tuned_trainer import build_tuned_trainer
from hf_strategies.tasks import TASKS
from hf_strategies.tasks.task import Task, TaskSettings

MERGED = "merged"  # the folder of a checkpoint with its adapter merged into it


@dataclass
class Job:
    """A task with its rows and what brings them into shape.

    Args:
        task: Settled.
        processor: Of the model.
        sides: The rows.
        notes: What their user should know.
    """

    task: Task
    processor: Any
    sides: Sides
    notes: list[str]


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
            num_classes=len(job.task.config.get("id2label", ())),
            num_parameters=count_parameters(arguments, job.task),
            linear_probe=arguments.weights.linear_probe,
        )
        name, why = choose_recipe(facts)
        arguments = stand_on(name)
        job = prepare(arguments, job.sides)  # the recipe may have its own lengths
        job.notes += [f"recipe {name}: {why}", *filter(None, [too_little_data(facts)])]
    arguments = settle_machine(settle_adapter(arguments))
    check_metric(arguments, job.task)
    threads = use_all_cores() if arguments.training["use_cpu"] else None
    args = build_training_arguments(
        arguments,
        max_seq_length=arguments.data.max_seq_length or TaskSettings.max_seq_length,
        metric=job.task.metric,
        greater_is_better=job.task.greater_is_better,
        generated_tokens=arguments.task.max_target_length if job.task.head == "seq2seq" else None,
    )
    return run_in_folder(arguments, args, lambda folder: run(arguments, args, folder, job, threads=threads))


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


def prepare(arguments: Arguments, sides: Sides | None = None) -> Job:
    """Read and settle the rows.

    Args:
        arguments: What was asked for.
        sides: The rows, where they are already read.

    Raises:
        UserError: There are none, or nothing can be learned from them.
    """
    asked, data = arguments.task, arguments.data
    build, settings = TASKS[str(asked.task)].build, task_settings(arguments)
    task: Task = build(settings)
    if not (data.train_file or data.dataset_name or task.embedded):
        raise UserError(f"train_file: task {asked.task} needs data; name train_file or dataset_name")
    processor = load_processor(arguments, task)
    if task.text_fields or task.head == "causal":
        task = build(replace(settings, max_seq_length=sequence_length(arguments, task.head, processor)))
    sides = sides or read_rows(arguments, task, processor)
    notes = task.settle(sides.train, sides.validation, known_classes(arguments, task))
    if task.head == "causal" and asked.packing and not settings.packing:
        notes = [
            *notes,
            f"packing: under adapter {arguments.weights.adapter} examples would see each other; each has its row",
        ]
    return Job(task, processor, sides, [*notes, *filter(None, [sides.broken])])


def read_rows(arguments: Arguments, task: Task, processor: Any) -> Sides:
    """Read the rows that were named, for a task that has not seen any yet.

    Raises:
        UserError: There are none, or they are not what the task needs.
    """
    data = arguments.data
    train = DataSource(
        files=tuple(data.train_file or ()),
        dataset_name=data.dataset_name,
        dataset_config_name=data.dataset_config_name,
    )
    return task.read(
        train,
        DataSource(files=tuple(data.validation_file)) if data.validation_file else None,
        processor,
        validation_share=data.validation_share,
        max_broken_share=data.max_broken_share,
        max_train_rows=data.max_train_samples,
        max_eval_rows=data.max_eval_samples,
        seed=int(arguments.training.get("data_seed", arguments.training.get("seed", TrainingArguments.seed))),
    )


def task_settings(arguments: Arguments) -> TaskSettings:
    """Collect what the user says about rows."""
    asked, data, adapter = arguments.task, arguments.data, arguments.weights.adapter
    takes_positions = adapter is None or ADAPTERS[adapter].facts["adapts"] != "input"  # peft drops them otherwise
    return TaskSettings(
        text_column=data.text_column,
        text_pair_column=asked.text_pair_column,
        image_column=asked.image_column,
        label_column=asked.label_column,
        max_seq_length=data.max_seq_length or TaskSettings.max_seq_length,
        max_target_length=asked.max_target_length,
        prompt_template=asked.prompt_template,
        packing=asked.packing and takes_positions,
        image_size=asked.image_size,
    )


def run(
    arguments: Arguments, args: TrainingArguments, folder: OutputFolder, job: Job, *, threads: int | None
) -> dict[str, float]:
    """Do what is left to do in an open folder; errors are those of `finetune`."""
    task, sides = job.task, job.sides
    set_seed(args.seed)
    tuned = build_tuned_model(arguments, args, task, job.processor, sides.train)
    augment, said = build_augmentation(arguments, task, job.processor, sides.train, tuned.model, seed=data_seed(args))
    seed = data_seed(args)
    training = task.dataset("train", sides.train, job.processor, seed=seed, augment=augment)
    validation = task.dataset("validation", sides.validation, job.processor, seed=seed)
    notes = [*arguments.notes, *folder.notes, *job.notes, *task.notes, *tuned.notes, *said]
    for note in notes:
        say(f"note      {note}")
    say(f"device    {startup.describe_precision(arguments, args, threads)}")
    say(f"output    {folder.path}" + (f", resuming from {folder.checkpoint}" if folder.checkpoint else ""))
    held = f"{len(sides.validation):,} to validate ({sides.held_out})"
    say(f"data      {len(sides.train):,} examples to train on, {held}")
    say(f"model     {startup.describe_model(arguments, tuned.model)}, {describe_trained(tuned.model)}")
    say(f"plan      {describe_length(args, len(training))}")
    say(f"strategy  {startup.describe_strategy(arguments, args)}")
    trainer = build_tuned_trainer(
        arguments, args, tuned.model, task, job.processor, training, validation, classes=task.classes(sides.train),
        saved=processor_of(task, job.processor, sides.train), folder=folder.path,
    )  # fmt: skip
    for callback in sample_callbacks(arguments, task, sides.validation, job.processor, folder.path):
        trainer.add_callback(callback)
    trainer.checkpoint_facts = {"data": sides.identity, "settings": identity_settings(arguments)}
    trainer.changed_settings = folder.changed
    trainer.is_verified = True  # opening the folder has read all of its checkpoint
    training_wanted = trains(arguments.training)
    if training_wanted and folder.checkpoint is not None and "data" not in (arguments.run.allow_change or ()):
        check_same_data(Path(folder.checkpoint), sides.identity, "the examples have")
    if is_main_process():
        write_resolved(arguments, folder.path, f"Reruns this run: scripts/finetune.py {folder.path / FILE_NAME}")
    results: dict[str, float] = {}
    if training_wanted:
        results |= train(trainer, folder.checkpoint)
        refuse_to_finish(trainer, folder.path)
        outlast_first_signal()
        trainer.save_last()
    predictions, scores = report_predictions(trainer, task, validation, sides.validation)
    results |= {**scores, **describe_costs(sides, args.device, trained=count_trained(tuned.model))}
    if is_main_process():
        if arguments.weights.merge_adapter:
            merge_adapter(tuned.model).save_pretrained(folder.path / MERGED)
            if trainer.processing_class is not None:
                trainer.processing_class.save_pretrained(folder.path / MERGED)
        record = record_run(
            arguments,
            folder.path,
            script="scripts/finetune.py",
            title=f"{arguments.model.model_name_or_path or arguments.model.architecture}, {arguments.task.task}",
            summary=f"{trainer.state.global_step:,} updates on {len(sides.train):,} examples.",
            data={"training examples": len(sides.train), "validation examples": len(sides.validation)},
            model={"class": type(tuned.model).__name__, "parameters": describe_trained(tuned.model)},
            results=results,
            notes=notes,
            pipeline_tag=TASKS[str(arguments.task.task)].facts["pipeline"],
            predictions=predictions,
        )
        write_reports(record, folder.path)
        write_results(results, folder.path)
    if args.push_to_hub:
        push(trainer, folder.path)
    if predictions is not None:
        say(f"\n{confusion_lines(predictions.confusion)}")
    say(closing_table(results, folder.path))
    return results


def describe_length(args: TrainingArguments, samples: int) -> str:
    """Say how many updates a run takes, and how often it sees its data."""
    scale = startup.run_scale(args, samples=samples, block_size=1)
    assert scale.updates_per_epoch is not None
    epochs = scale.num_training_steps / scale.updates_per_epoch
    return f"{scale.num_training_steps:,} updates, {epochs:.3g} epochs of {samples:,} samples"


def count_trained(model: nn.Module) -> int:
    """Count the parameters that learn."""
    return sum(param.numel() for param in model.parameters() if param.requires_grad)


def describe_trained(model: nn.Module) -> str:
    """Say how many parameters learn, of how many."""
    total = sum(param.numel() for param in model.parameters())
    trained = count_trained(model)
    return f"{format_count(trained)} of {format_count(total)} parameters learn ({trained / total:.1%})"
