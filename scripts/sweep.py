"""Find a learning rate, or any other settings, before the time is spent on a long run.

python scripts/sweep.py pretrain --vary learning_rate=3e-3,6e-3,1.2e-2,2.4e-2
    try four rates; a table, a picture of loss against rate, and the best as a recipe; Muon's second rate follows
python scripts/sweep.py mine.yaml --vary learning_rate=2e-3,4e-3 --vary optimizer_kwargs.momentum=0.9,0.95 --seeds 0,1
    every combination, each with two seeds, on top of one's own settings
python scripts/sweep.py mine.yaml --search optuna --trials 20 --vary learning_rate=1e-4..1e-1 --vary weight_decay=0,0.1
    let optuna propose, and stop what is hopeless
python scripts/sweep.py find-lr mine.yaml
    a band of learning rates from a range test of a few hundred updates; python scripts/sweep.py find-lr --help

Everything else on the line is the job's own, and the same in every trial: recipe or YAML file, and its flags. Trials
see the same data in the same order, each in a process and a folder of its own; a trial that diverges or fails is a row
of the table. Interrupted, or killed: the same command with --output_dir FOLDER goes on where it was, and one that asks
for more (values of a grid, trials, seeds) reuses what has been tried.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from hf_strategies.arguments.help import help_text
from hf_strategies.arguments.layers import recipe_names
from hf_strategies.arguments.settings import settings_of
from hf_strategies.arguments.tuning_topics import PRETRAIN
from hf_strategies.planning.find_lr_request import FindLROptions, parse_find_lr
from hf_strategies.planning.options import DEFAULT_RECIPE
from hf_strategies.planning.sweep_request import SweepOptions, parse_sweep
from hf_strategies.runs.script import script

FIND_LR = """Find a band of learning rates from a range test, in a few hundred updates.

python scripts/sweep.py find-lr
    of the default recipe: a table, a picture, and a band
python scripts/sweep.py find-lr mine.yaml --optimizer lion --max 0.1 --seeds 0,1,2,3,4
    of one's own settings with another optimizer

For each seed a new model trains some updates at the lowest rate, until the optimizer's state has settled, and then
with a rate that rises until the loss diverges. The band goes from where the loss falls fastest to half the rate of its
minimum: the median over the seeds, with the extremes beside it. It says where a sweep should look, in units of
--learning_rate; rates of other parameter groups keep their ratio to it.

Everything else on the line is the job's own: recipe or YAML file, and its flags.
"""


@script
def main(argv: Sequence[str] | None = None) -> None:
    """Run a sweep, or a range test."""
    words = list(sys.argv[1:] if argv is None else argv)
    finds_lr = words[:1] == ["find-lr"]
    if {"--help", "-h"} & set(words) or not words:
        own = {setting.name: setting for setting in settings_of(FindLROptions if finds_lr else SweepOptions)}
        said = FIND_LR if finds_lr else __doc__
        print(help_text(said, own, recipes=recipe_names(PRETRAIN), default_recipe=DEFAULT_RECIPE))
        return
    # What runs is imported late, since it takes seconds: a refused command line and --help answer first.
    if finds_lr:
        finding = parse_find_lr(words[1:])
        from hf_strategies.planning.find_lr import find_lr

        find_lr(finding)
        return
    request = parse_sweep(words)
    from hf_strategies.planning.sweep import sweep

    sweep(request, Path(__file__).parent)


if __name__ == "__main__":
    main()
