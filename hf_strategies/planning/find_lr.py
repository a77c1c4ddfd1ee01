"""A band of learning rates for a recipe: range tests of several seeds, each on a model of its own."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path

import transformers
from transformers import set_seed

from hf_strategies.distributed.ranks import world_size
from hf_strategies.errors import UserError
from hf_strategies.planning.find_lr_request import FindLRRequest
from hf_strategies.planning.lr_band import BELOW_MINIMUM, LearningRateBand, RangeTest, find_band, rising_rates
from hf_strategies.planning.lr_range_plot import draw_range_tests
from hf_strategies.planning.lr_range_test import lr_range_test
from hf_strategies.reports import format_number, format_table
from hf_strategies.runs import startup
from hf_strategies.runs.language_model import build_model, resolve_block_size
from hf_strategies.runs.output_folder import create_folder, create_next
from hf_strategies.runs.process import build_training_arguments, data_seed, prepare_cpu, settle_machine
from hf_strategies.runs.text import prepare
from hf_strategies.runs.trainer import build_trainer

RESULT, PICTURE = "lr_range.json", "lr_range.png"
RULE = f"steepest descent to the rate of the minimum / {BELOW_MINIMUM:g}, median over the seeds"
RATES_TO_SWEEP = 5  # from half the band's lower end to twice its upper one


def find_lr(request: FindLRRequest) -> LearningRateBand:
    """Test, print what was found, and write it as JSON and as a picture.

    Args:
        request: A checked one.

    Raises:
        UserError: The folder holds a range test, or the recipe cannot be built.
    """
    if world_size() > 1:
        raise UserError("a range test runs in one process: run it with python, not with a launcher of several")
    folder = _open_folder(request)
    tests = run_tests(request, folder)
    band = find_band(tests)
    rows = [
        [
            seed,
            f"{test.steepest:.2g}",
            f"{test.minimum:.2g}",
            format_number(min(test.smoothed())),
            f"{test.rates[len(test.losses) - 1]:.2g}",
        ]
        for seed, test in zip(request.seeds, tests)
    ]
    print("\n" + format_table(rows, ["seed", "steepest at", "minimum at", "minimum", "ended at"]) + "\n")
    record = {
        "rule": RULE,
        "band": asdict(band),
        "tests": [{"seed": seed, **asdict(test)} for seed, test in zip(request.seeds, tests)],
    }
    (folder / RESULT).write_text(json.dumps(record, indent=1), encoding="utf-8")
    title = f"Learning-rate range test of {request.arguments.name}"
    draw_range_tests(tests, request.seeds, band, folder / PICTURE, title=title)
    for line in describe_band(band, request):
        print(line)
    print(f"picture   {folder / PICTURE}\nnumbers   {folder / RESULT}", flush=True)
    return band


def run_tests(request: FindLRRequest, folder: Path) -> list[RangeTest]:
    """Build the run that the arguments describe, once for each seed, and test it."""
    transformers.logging.set_verbosity_warning()
    transformers.logging.disable_progress_bar()
    arguments, options = settle_machine(request.arguments), request.options
    arguments.training["output_dir"] = str(folder)
    threads = prepare_cpu() if arguments.training["use_cpu"] else None
    objective = arguments.strategy.objective
    block_size = resolve_block_size(arguments.model, arguments.data.max_seq_length, objective=objective)
    args = build_training_arguments(arguments, max_seq_length=block_size)
    print(f"device    {startup.describe_precision(arguments, args, threads)}", flush=True)
    text = prepare(
        arguments, block_size, seed=data_seed(args), samples=args.max_steps * startup.sequences_per_update(args)
    )
    print(f"strategy  {startup.describe_strategy(arguments, args)}", flush=True)
    print(f"batch     {startup.describe_batch(args, block_size)}", flush=True)
    updates = options.warm_steps + options.steps
    print(f"plan      {len(request.seeds)} seeds x {updates} updates, {options.min:g} to {options.max:g}", flush=True)
    tests = []
    for seed in request.seeds:
        set_seed(seed)
        model = build_model(
            arguments.model,
            text.tokenizer,
            block_size=block_size,
            isolate_documents=arguments.data.isolate_documents,
            rows=max(args.per_device_train_batch_size, args.per_device_eval_batch_size),
            objective=objective,
        )
        trainer = build_trainer(arguments, args, model, text, folder)
        test = lr_range_test(
            trainer,
            min_lr=options.min,
            max_lr=options.max,
            num_warm_steps=options.warm_steps,
            num_steps=options.steps,
            seed=seed,
        )
        tests.append(test)
        print(f"seed {seed:<4} minimum at {test.minimum:.2g}", flush=True)
    return tests


def describe_band(band: LearningRateBand, request: FindLRRequest) -> list[str]:
    """Say what the band is and how sure it is; then how to try it, or why there is no use in that yet."""
    lines = [
        f"band      learning_rate {band.describe()} ({RULE})",
        f"extremes  {band.lowest:.2g} to {band.highest:.2g} over the seeds",
    ]
    if band.open_below:
        lines.append(f"warning   the loss fell fastest, or was lowest, at --min {request.options.min:g}: lower it")
    if band.open_above:
        lines.append(f"warning   the loss was still falling at --max {request.options.max:g}: raise it")
    if band.open_below or band.open_above:
        return lines
    rates = ",".join(f"{rate:.2g}" for rate in rising_rates(band.low / 2, 2 * band.high, RATES_TO_SWEEP))
    command = ["python", "scripts/sweep.py", *request.arguments.argv, "--vary", f"learning_rate={rates}"]
    lines.append(
        "          A short test sees neither the length of the run nor its decay: try the band before you trust it."
    )
    return [*lines, f"next      {shlex.join(command)}"]


def _open_folder(request: FindLRRequest) -> Path:
    if request.options.output_dir is None:
        return create_next(f"find-lr-{request.arguments.name}")
    folder = Path(request.options.output_dir).expanduser()
    create_folder(folder)
    if any(folder.iterdir()):
        raise UserError(f"output_dir {folder} is not empty; choose another folder")
    return folder
