"""Look before a run: what it will do, without doing it.

python scripts/plan.py schedule
    the learning rate of the default recipe, update by update: in the terminal, and as schedule.png
python scripts/plan.py schedule mine.yaml --scheduler warmup_stable_decay --scheduler_kwargs num_decay_steps=0.2
    of one's own settings; recipe, YAML file and flags are those of scripts/pretrain.py
python scripts/plan.py size --flops 1e21
    the model and the tokens that a budget is best spent on, or the tokens that a model needs
python scripts/plan.py memory --parameters 1B --gpus 8 --gpu_memory 80GB
    what a run keeps in memory, by the way it is spread over GPUs, and the cheapest way that fits
python scripts/plan.py time --price_per_hour 2
    how long it takes and what it costs, by a few updates on this machine
python scripts/plan.py check mine.yaml
    everything that it would trip over, before it begins
python scripts/plan.py COMMAND --help
    its options
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.help import help_text, options_text
from hf_strategies.arguments.layers import recipe_names
from hf_strategies.arguments.settings import settings_of
from hf_strategies.arguments.tuning_topics import PRETRAIN
from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.planning.memory_request import AdapterOptions, job_of, parse_memory
from hf_strategies.planning.options import DEFAULT_RECIPE, check_picture, split_options
from hf_strategies.planning.schedule_drawing import draw_schedule, plot_text
from hf_strategies.planning.schedule_plan import ScheduleOptions, plan_schedule
from hf_strategies.planning.size_plan import describe_size
from hf_strategies.planning.size_request import SizeOptions, parse_size
from hf_strategies.planning.time_request import TimeOptions, parse_time
from hf_strategies.runs.script import script

SCHEDULE = """Draw the schedule of a run before anything trains.

python scripts/plan.py schedule
    of the default recipe: in the terminal, and as schedule.png
python scripts/plan.py schedule mine.yaml --max_steps 10000 --png plans/long.png
    of one's own settings, in another length
python scripts/plan.py schedule --scheduler step --scheduler_kwargs "step_size=30 epochs" --updates_per_epoch 5
    lengths in epochs: a plan does not read the data, so it must be told
python scripts/plan.py schedule --cooldown_from runs/trunk/checkpoint-2000 --cooldown_steps 400
    a cooldown, with its trunk before it

The rest of the line is that of scripts/pretrain.py. The rate drawn is that of --learning_rate; parameter groups with
another rate follow the same curve from theirs. Those of hyperparameter_curves are drawn below it.
"""

SIZE = """Say how large a model to train, and on how many tokens.

python scripts/plan.py size --flops 1e21
    what a budget is best spent on
python scripts/plan.py size --gpus 8 --gpu H100 --hours 72
    the same of so many GPUs for so many hours
python scripts/plan.py size --parameters 1B --inference_tokens 2T
    the tokens that a model needs; and, where it will be used for so many, the model that is cheapest in all
python scripts/plan.py size --parameters 400M --tokens 8B --data_tokens 500M
    what a plan of one's own is worth, with as little text as there is

Laws: Chinchilla (https://arxiv.org/abs/2203.15556) and the fit of its data that corrects it
(https://arxiv.org/abs/2404.10102), whose split is the plan; learning rate and batch by Step Law
(https://arxiv.org/abs/2503.04715); repeated text (https://arxiv.org/abs/2305.16264); use (https://arxiv.org/abs/2401.00448).
They were fitted on decoders of English text: a loss is to be compared with others of the table, not with your run's.
"""

MEMORY = """Say how much memory a run takes, before it takes any.

python scripts/plan.py memory mine.yaml
    on this machine: weights, gradients, optimizer, snapshots, activations, evaluation, and the most at once
python scripts/plan.py memory --parameters 1B --max_seq_length 2048 --gpus 8 --gpu_memory 80GB
    on GPUs: what each holds in every configuration of accelerate_configs/, and the cheapest one that fits
python scripts/plan.py memory --parameters 1B --gpu_memory 24GB --adapter lora --quantization nf4
    of an adapter on a frozen model in 4 bits
python scripts/plan.py memory lora --task causal-lm --model_name_or_path HuggingFaceTB/SmolLM2-135M
    of a fine-tuning run: the rest of the line is that of scripts/finetune.py, else that of scripts/pretrain.py

States are counted tensor by tensor; a step is gone through with tensors that have no contents, so that any model,
objective and length is seen as it is. `scripts/benchmark.py memory` compares with what processes really took.
"""

TIME = """Say how long a run takes on this machine, and what it costs.

python scripts/plan.py time
    of the default recipe: tokens per second, and the time to finish
python scripts/plan.py time mine.yaml --updates 20 --price_per_hour 2.5
    of one's own, timed longer, with its price in the currency of the machine's

A few updates are trained and thrown away, in this process alone; the text is read, and its tokens are kept for the
run. The rest of the line is that of scripts/pretrain.py.
"""

CHECK = """Look at a run from all sides before it begins: nothing is written, and no data are read.

python scripts/plan.py check
    of the default recipe: batch, length, schedule, rhythm, groups, sharding, disk and memory, with a verdict on each
python scripts/plan.py check mine.yaml --max_steps 100000 --global_batch_size "0.5M tokens"
    of one's own settings
python scripts/plan.py check lora --task causal-lm --model_name_or_path HuggingFaceTB/SmolLM2-135M
    of a fine-tuning run: the rest of the line is that of scripts/finetune.py, else that of scripts/pretrain.py

scripts/pretrain.py and scripts/finetune.py do the same first, memory aside: of that they look at what stays alone.
"""


def schedule(words: Sequence[str]) -> None:
    """Draw what the learning rate of a run will be."""
    if {"--help", "-h"} & set(words):
        own = {item.name: item for item in settings_of(ScheduleOptions)}
        print(help_text(SCHEDULE, own, recipes=recipe_names(PRETRAIN), default_recipe=DEFAULT_RECIPE))
        return
    problems: list[str] = []
    options, rest = split_options(words, ScheduleOptions, problems)
    if options.updates_per_epoch is not None and options.updates_per_epoch < 1:
        problems.append(f"--updates_per_epoch: expected at least 1, got {options.updates_per_epoch}")
    path = Path(options.png)
    try:
        check_picture(path)
    except ValueError as error:
        problems.append(f"--png: {error}")
    if problems:
        raise UserError("\n".join(problems))
    arguments = parse_arguments(rest, description=SCHEDULE, default_recipe=DEFAULT_RECIPE)
    plan = plan_schedule(arguments, options.updates_per_epoch)
    for curve in plan.curves:
        print(f"{curve.name}, {curve.scheduler}: {curve.describe()}\n{plot_text(curve.values)}\n")
    draw_schedule(plan.curves, path, title=f"{arguments.name}: {plan.curves[0].num_updates:,} updates")
    for note in plan.notes:
        print(f"note     {note}")
    print(f"picture  {path}")


def size(words: Sequence[str]) -> None:
    """Say how large a model, and on how many tokens."""
    if {"--help", "-h"} & set(words):
        print(options_text(SIZE, settings_of(SizeOptions)))
        return
    print(describe_size(parse_size(words)))


def memory(words: Sequence[str]) -> None:
    """Say how much memory a run takes."""
    job, recipe = job_of(words)
    if {"--help", "-h"} & set(words):
        own = {item.name: item for item in settings_of(AdapterOptions)}
        print(help_text(MEMORY, own, recipes=recipe_names(job), default_recipe=recipe))
        return
    request = parse_memory(words)
    from hf_strategies.planning.memory_plan import plan_memory  # imported late: it needs torch, which takes seconds

    print(plan_memory(request))


def take_time(words: Sequence[str]) -> None:
    """Say how long a run takes, and what it costs."""
    if {"--help", "-h"} & set(words):
        own = {item.name: item for item in settings_of(TimeOptions)}
        print(help_text(TIME, own, recipes=recipe_names(PRETRAIN), default_recipe=DEFAULT_RECIPE))
        return
    options, arguments = parse_time(words)
    from hf_strategies.planning.speed_trial import describe_trial, time_run

    print(describe_trial(time_run(arguments, options), options.price_per_hour))


def check(words: Sequence[str]) -> None:
    """Look at a run from all sides.

    Raises:
        UserError: It would fail; the table says why.
    """
    job, recipe = job_of(words)
    if {"--help", "-h"} & set(words):
        print(help_text(CHECK, {}, recipes=recipe_names(job), default_recipe=recipe))
        return
    arguments = parse_arguments(words, description=CHECK, default_recipe=recipe, job=job, recipe_is_open=True)
    from hf_strategies.planning.check_plan import check_run, describe_verdicts

    verdicts = check_run(arguments)
    print(describe_verdicts(verdicts))
    if wrong := [verdict.name for verdict in verdicts if verdict.is_error]:
        raise UserError(f"{len(wrong)} of {len(verdicts)} checks failed: {', '.join(wrong)}")


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "schedule": schedule,
    "size": size,
    "memory": memory,
    "time": take_time,
    "check": check,
}


@script
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command that is named."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("--help", "-h"):
        print(__doc__)
        return
    if words[0] not in COMMANDS:
        guess = did_you_mean(words[0], COMMANDS)
        raise UserError(f"unknown command {words[0]!r}{guess} (known: {', '.join(COMMANDS)})")
    COMMANDS[words[0]](words[1:])


if __name__ == "__main__":
    main()
