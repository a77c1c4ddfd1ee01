"""Ask a language model instead of fine-tuning it, and see both in one table.

python scripts/score.py sentiment --model_name_or_path HuggingFaceTB/SmolLM2-135M --train_file reviews.csv
    without and with four demonstrations, each as it is and calibrated: score, spread, time and memory
python scripts/score.py sentiment --model_name_or_path HuggingFaceTB/SmolLM2-135M --train_file reviews.csv \\
    --compare runs/lora-1 runs/full-1
    beside finished runs of scripts/finetune.py on the same rows: prompt, soft prompt, adapter, or full fine-tuning?
python scripts/score.py --model_name_or_path google/flan-t5-small --dataset_name trec --shots 0 1 6 --num_seeds 10 \\
    --prompt_template "{text} What is asked for?" --label_words HUM=person,LOC=place,NUM=number,DESC=description,...
    one's own words, an encoder-decoder, ten draws of the demonstrations
"""

import sys
from collections.abc import Sequence

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.tuning_topics import SCORE
from hf_strategies.runs.script import script


@script
def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Run the whole job and return what all_results.json holds."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parse_arguments(words, description=__doc__, default_recipe="score", job=SCORE)
    # Imported here, since it takes seconds: a refused command line and --help answer first.
    from hf_strategies.runs.scoring import score

    return score(arguments)


if __name__ == "__main__":
    main()
