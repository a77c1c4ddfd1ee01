"""Look before a run: what it will do, without doing it.

python scripts/plan.py schedule
    the learning rate of the default recipe, update by update: in the terminal, and as schedule.png
python scripts/plan.py schedule mine.yaml --scheduler warmup_stable_decay --scheduler_kwargs num_decay_steps=0.2
    of one's own settings; recipe, YAML file and flags are those of scripts/pretrain.py
python scripts/plan.py schedule --help
    its options
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.help import help_text
from hf_strategies.arguments.layers import recipe_names
from hf_strategies.arguments.settings import settings_of
from hf_strategies.arguments.tuning_topics import PRETRAIN
from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.planning.options import DEFAULT_RECIPE, check_picture, split_options
from hf_strategies.planning.schedule_drawing import draw_schedule, plot_text
from hf_strategies.planning.schedule_plan import ScheduleOptions, plan_schedule
from hf_strategies.runs.script import script

SCHEDULE = """Draw the schedule of a run before anything trains.

python scripts/plan.py schedule
    of the default recipe: in the terminal, and as schedule.png
python scripts/plan.py schedule mine.yaml --max_steps 10000 --png plans/long.png
    of one's own settings, in another length
python scripts/plan.py schedule --scheduler step --scheduler_kwargs "step_size=30 epochs" --updates_per_epoch 5
    lengths in epochs: a plan does not read the data, so it must be told

The rest of the line is that of scripts/pretrain.py. The rate drawn is that of --learning_rate; parameter groups with
another rate follow the same curve from theirs. Those of hyperparameter_curves are drawn below it.
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
    curves = plan_schedule(arguments, options.updates_per_epoch)
    for curve in curves:
        print(f"{curve.name}, {curve.scheduler}: {curve.describe()}\n{plot_text(curve.values)}\n")
    draw_schedule(curves, path, title=f"{arguments.name}: {len(curves[0].values):,} updates")
    print(f"picture  {path}")


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"schedule": schedule}


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
