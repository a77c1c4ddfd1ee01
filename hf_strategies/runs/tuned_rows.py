"""The rows of a fine-tuning run: read, settled, and with what brings them into shape."""

from dataclasses import dataclass, replace
from typing import Any

from transformers import PretrainedConfig, TrainingArguments

from hf_strategies.adapters import ADAPTERS
from hf_strategies.arguments import Arguments
from hf_strategies.arguments.merging import Value
from hf_strategies.data.labelled import Sides
from hf_strategies.data.sources import DataSource
from hf_strategies.errors import UserError
from hf_strategies.models.isolation import why_texts_meet
from hf_strategies.runs.tuned_model import checkpoint_config, known_classes, load_processor, sequence_length
from hf_strategies.tasks import TASKS
from hf_strategies.tasks.causal_lm import CausalLM
from hf_strategies.tasks.task import Task, TaskSettings


@dataclass
class Job:
    """A task with its rows and what brings them into shape.

    Args:
        task: Settled.
        processor: Of the model; None while its tokenizer is not trained yet.
        sides: The rows.
        config: The checkpoint's; None where training starts from scratch.
        length: Tokens of a row at most; None where no checkpoint limits them.
        notes: What their user should know.
    """

    task: Task
    processor: Any
    sides: Sides
    config: PretrainedConfig | None
    length: int | None
    notes: list[str]


def prepare(arguments: Arguments, before: Job | None = None) -> Job:
    """Read and settle the rows.

    Args:
        arguments: What was asked for.
        before: The same job under another recipe, of which all that was read is taken.

    Raises:
        UserError: There are none, or nothing can be learned from them.
    """
    asked, data = arguments.task, arguments.data
    build, settings = TASKS[str(asked.task)].build, task_settings(arguments)
    task: Task = build(settings)
    if not (data.train_file or data.dataset_name or task.embedded):
        raise UserError(f"train_file: task {asked.task} needs data; name train_file or dataset_name")
    if before is None:
        named = arguments.model.model_name_or_path is not None
        config = checkpoint_config(arguments.model, task.head) if named else None
        processor = load_processor(arguments, task, config)
    else:
        config, processor = before.config, before.processor
    length = None
    if config is not None and (task.text_fields or task.head == "causal"):
        length = sequence_length(arguments, config, processor)
        task = build(replace(settings, max_seq_length=length))
    sides = before.sides if before else read_rows(arguments, task, processor)
    notes = task.settle(sides.train, sides.validation, known_classes(config))
    if task.head == "causal" and asked.packing and not settings.packing:
        notes = [
            *notes,
            f"packing: under adapter {arguments.weights.adapter} examples would see each other; each has its row",
        ]
    return Job(task, processor, sides, config, length, [*notes, *filter(None, [sides.broken])])


def settle_length(arguments: Arguments, job: Job) -> Arguments:
    """Let the settings name the length of rows that the checkpoint has positions for, where that is less.

    So what is written down of a run reruns it: there nobody can tell a recipe's length from one that its user wants.
    """
    if job.length in (None, arguments.data.max_seq_length or TaskSettings.max_seq_length):
        return arguments
    return replace(
        arguments,
        data=replace(arguments.data, max_seq_length=job.length),
        values={**arguments.values, "max_seq_length": Value(job.length, "the checkpoint's positions")},
    )


def unpack_where_seen(task: Task, model: Any, args: TrainingArguments) -> list[str]:
    """Give each example a row of its own if those of one row would see each other, and say so.

    Args:
        task: Settled, without data sets yet.
        model: To be trained.
        args: The host's part of what was asked for.
    """
    if not isinstance(task, CausalLM) or not task.settings.packing:
        return []
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # below PEFT
    why = why_texts_meet(inner, rows=max(args.per_device_train_batch_size, args.per_device_eval_batch_size))
    if not why:
        return []
    task.settings = replace(task.settings, packing=False)
    return [f"packing: examples of one row would see each other, so each has its row: {why}"]


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
        regression=asked.regression,
        max_seq_length=data.max_seq_length or TaskSettings.max_seq_length,
        max_target_length=asked.max_target_length,
        prompt_template=asked.prompt_template,
        packing=asked.packing and takes_positions,
        image_size=asked.image_size,
    )
