"""Does it help, here? Settings against each other on equal terms, over several seeds, with a paired test.

python scripts/compare.py mine.yaml --vary optimizer=adamw,muon --seeds 5
    the same tokens in the same order for both; the second against the first, seed by seed
python scripts/compare.py mine.yaml --vary optimizer=adamw,muon --vary scheduler=cosine,linear --budget seconds
    every combination against the first one, each with as many updates as fit in its time
python scripts/compare.py compare_architecture
    a comparison that ships: depth, width, heads, norms and positions, on loss and on time; a YAML file of one's own
    may hold one too, in the lines vary, seeds, budget and design

Everything else on the line is the job's own, and the same in every run: recipe or YAML file, and its flags, those of
scripts/pretrain.py. Interrupted, or killed: the same command with --output_dir FOLDER goes on where it was.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from hf_strategies.arguments.help import help_text
from hf_strategies.arguments.layers import recipe_names
from hf_strategies.arguments.settings import settings_of
from hf_strategies.arguments.tuning_topics import PRETRAIN
from hf_strategies.planning.compare_request import COMPARE, CompareOptions, parse_compare
from hf_strategies.planning.options import DEFAULT_RECIPE
from hf_strategies.runs.script import script


@script
def main(argv: Sequence[str] | None = None) -> None:
    """Run a comparison."""
    words = list(sys.argv[1:] if argv is None else argv)
    if {"--help", "-h"} & set(words) or not words:
        own = {setting.name: setting for setting in settings_of(CompareOptions)}
        recipes = [*recipe_names(COMPARE), *recipe_names(PRETRAIN)]
        print(help_text(__doc__, own, recipes=recipes, default_recipe=DEFAULT_RECIPE))
        return
    request = parse_compare(words)
    # What runs is imported late, since it takes seconds: a refused command line and --help answer first.
    from hf_strategies.planning.compare import compare

    compare(request, Path(__file__).parent)


if __name__ == "__main__":
    main()
