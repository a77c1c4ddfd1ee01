"""Scoring prompts, from arguments to a finished folder: how far a model gets without learning, and others with it."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from transformers import EvalPrediction, TrainingArguments

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.resolved import FILE_NAME, write_resolved
from hf_strategies.data.labelled import Sides
from hf_strategies.distributed.ranks import world_size
from hf_strategies.errors import UserError
from hf_strategies.prompting import draw_demonstrations
from hf_strategies.prompting.prompts import Prompt
from hf_strategies.reports import EventLog, write_report
from hf_strategies.reports.comparison import Contender, comparison_table, draw_comparison, sampling_error
from hf_strategies.reports.terminal import MAX_WIDTH
from hf_strategies.runs import startup
from hf_strategies.runs.asking import AskedModel, describe_fit
from hf_strategies.runs.compared import read_compared
from hf_strategies.runs.costs import describe_costs, fingerprint, peak_memory
from hf_strategies.runs.job import announce, run_in_folder, say
from hf_strategies.runs.language_model import check_trusted
from hf_strategies.runs.output_folder import EVENTS, OutputFolder, write_results
from hf_strategies.runs.process import build_training_arguments, prepare_cpu, settle_machine
from hf_strategies.runs.results import REPORT, hub_name, record_run
from hf_strategies.runs.tuned_rows import read_rows, task_settings
from hf_strategies.tasks.labels import SINGLE
from hf_strategies.tasks.text_classification import TextClassification

COMPARISON, PICTURE = "comparison.json", "comparison.png"


def score(arguments: Arguments) -> dict[str, float]:
    """Ask a model about the validation rows as `arguments` say, and leave a finished folder.

    Returns:
        What `all_results.json` holds: the scores with the most demonstrations, calibrated unless that is off.

    Raises:
        UserError: Something that was asked for cannot be had; nothing half-written is left.
    """
    transformers.logging.set_verbosity_warning()
    transformers.logging.disable_progress_bar()
    if arguments.model.model_name_or_path is None:
        raise UserError("model_name_or_path: name a causal model or an encoder-decoder to ask")
    if world_size() > 1:
        raise UserError(f"scripts/score.py runs in one process, got {world_size()}: start it with python")
    check_trusted(arguments.model)
    task, sides, notes = prepare(arguments)
    arguments = settle_machine(arguments)
    threads = prepare_cpu() if arguments.training["use_cpu"] else None
    args = build_training_arguments(arguments, max_seq_length=task.settings.max_seq_length)
    return run_in_folder(
        arguments, args, lambda folder: run(arguments, args, folder, task, sides, notes, threads=threads)
    )


def prepare(arguments: Arguments) -> tuple[TextClassification, Sides, list[str]]:
    """Read the rows as fine-tuning does.

    Raises:
        UserError: There are none, or they have not one class each.
    """
    if not (arguments.data.train_file or arguments.data.dataset_name):
        raise UserError("train_file: name train_file or dataset_name, as for scripts/finetune.py")
    task = TextClassification(task_settings(arguments))
    sides = read_rows(arguments, task, None)
    notes = task.settle(sides.train, sides.validation, ())
    if task.labels.kind != SINGLE:
        raise UserError(f"labels: a prompt has one answer, and so must a row; these are for {task.labels.kind}")
    return task, sides, [*notes, *filter(None, [sides.broken])]


def run(
    arguments: Arguments,
    args: TrainingArguments,
    folder: OutputFolder,
    task: TextClassification,
    sides: Sides,
    notes: list[str],
    *,
    threads: int | None,
) -> dict[str, float]:
    """Do the work in an open folder; errors are those of `score`."""
    name = str(arguments.model.model_name_or_path)
    compared, said = read_compared(
        arguments.prompting.compare or (), metric=task.metric, fingerprint=fingerprint(sides), model=name
    )
    asked = AskedModel(arguments, args, task.text_fields, task.labels.names)
    rows = sides.validation
    seen = {content(task, row) for row in rows}
    pool = [row for row in sides.train if content(task, row) not in seen]
    notes = [*arguments.notes, *folder.notes, *notes, *said]
    if twice := len(sides.train) - len(pool):
        notes.append(f"{twice:,} training rows are validation rows too, and are no demonstrations")
    announce(arguments, args, folder, notes, threads=threads)
    say(f"data      {len(rows):,} rows to ask about ({sides.held_out}), {len(pool):,} to demonstrate with")
    say(f"model     {startup.describe_model(arguments, asked.model)}")
    words = zip(task.labels.names, asked.encoder.words, strict=True)
    say(f"words     {', '.join(f'{name}: {word}' for name, word in words)}")
    write_resolved(arguments, folder.path, f"Reruns this: scripts/score.py {folder.path / FILE_NAME}")
    log = EventLog(folder.path / EVENTS)
    log.truncate_after(-1)  # of a run that did not get to its end
    log.append("run", step=0)
    prompted, results = ask_all(arguments, args, asked, task, pool, rows, log, notes)
    results |= describe_costs(sides, args.device, trained=0)
    contenders = [most_frequent(task, sides), *prompted, *compared]
    log.append("end", step=0)
    caption = describe_comparison(contenders, task.metric, len(rows))
    record = record_run(
        arguments,
        folder.path,
        script="scripts/score.py",
        title=f"{hub_name(name) or Path(name).name}, prompted",
        summary=caption,
        data={"rows asked about": len(rows), "rows to demonstrate with": len(pool)},
        model={"class": type(asked.model).__name__, "parameters": asked.model.num_parameters()},
        results=results,
        notes=notes,
        pipeline_tag="text-generation",
    )
    record.comparison, record.compared_by = contenders, task.metric
    write_report(record, folder.path / REPORT)
    draw_comparison(contenders, folder.path / PICTURE, title=record.title, metric=task.metric, caption=caption)
    written = json.dumps([asdict(one) for one in contenders], indent=4)
    (folder.path / COMPARISON).write_text(written, encoding="utf-8")
    write_results(results, folder.path)
    say(f"\n{comparison_table(contenders, task.metric)}\n\n{textwrap.fill(caption, MAX_WIDTH)}\n")
    say(f"picture   {folder.path / PICTURE}\nreport    {folder.path / REPORT}")
    return results


def ask_all(
    arguments: Arguments,
    args: TrainingArguments,
    asked: AskedModel,
    task: TextClassification,
    pool: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    log: EventLog,
    notes: list[str],
) -> tuple[list[Contender], dict[str, float]]:
    """Ask with every number of demonstrations, in every draw of them.

    Returns:
        The contenders, and the means over draws of the last one's metrics.
    """
    true, classes = np.array(task.classes(rows)), task.classes(pool) or []
    contenders: list[Contender] = []
    results: dict[str, float] = {}
    for shots in sorted({int(count) for count in arguments.prompting.shots}):
        if shots > len(pool):
            raise UserError(f"shots {shots}: there are {len(pool):,} rows to demonstrate with")
        scores: dict[str, list[dict[str, float]]] = {}
        seconds = 0.0
        fit: list[Prompt] = []
        draws = range(arguments.prompting.num_seeds if shots else 1)
        for draw in draws:
            chosen = draw_demonstrations(classes, shots, seed=args.seed, draw=draw)
            answers = asked.answer(rows, [asked.demonstrate(pool[row], classes[row]) for row in chosen])
            seconds += answers.seconds / len(draws) / len(rows)
            fit += answers.prompts
            for kind, logged in (("", answers.plain), (", calibrated", answers.calibrated)):
                if logged is not None:
                    method = f"prompt, {shots} {'shot' if shots == 1 else 'shots'}{kind}"
                    found = task.score(EvalPrediction(predictions=logged, label_ids=true))
                    found["loss"] = -float(logged[np.arange(len(true)), true].mean())
                    log.append("scored", step=0, method=method, draw=draw, **found)
                    scores.setdefault(method, []).append(found)
        told = describe_fit(fit, shots, asked.encoder.limit)
        notes += told
        for note in told:
            say(f"note      {note}")
        memory = peak_memory(args.device)
        for method, found_in_draws in scores.items():
            each = [found[task.metric] for found in found_in_draws]
            contenders.append(Contender(method=method, scores=each, row_seconds=seconds, peak_memory=memory))
            results = {
                f"eval_{name}": float(np.mean([found[name] for found in found_in_draws])) for name in found_in_draws[0]
            }
        results |= {"eval_runtime": seconds * len(rows), "eval_samples_per_second": 1 / seconds}
    return contenders, results


def most_frequent(task: TextClassification, sides: Sides) -> Contender:
    """Score the answer that needs no model: always the most frequent class of the training rows."""
    counts = np.bincount(task.classes(sides.train) or [], minlength=len(task.labels.names))
    always = np.tile(counts.astype(float), (len(sides.validation), 1))
    found = task.score(EvalPrediction(predictions=always, label_ids=np.array(task.classes(sides.validation))))
    return Contender(method="most frequent class", scores=[found[task.metric]])


def content(task: TextClassification, row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a row's texts, by which it is known again."""
    return tuple(row[name] for name in task.text_fields)


def describe_comparison(contenders: Sequence[Contender], metric: str, num_rows: int) -> str:
    """Say which scored best, and how much of a difference means nothing."""
    best = max(contenders, key=lambda one: one.mean)
    error = sampling_error(best.mean, num_rows)
    return (
        f"Best: {best.method}, {metric} {best.mean:.3f}; on {num_rows:,} rows it is known to +-{error:.3f} (95%). "
        "+- is the standard deviation over draws of demonstrations, or over seeds."
    )
