"""Fine-tune a checkpoint to a task, with a recipe that fits its data.

accelerate launch scripts/finetune.py --task image-classification
    train a small vision transformer on handwritten digits: about two minutes on two cores, nothing to download
accelerate launch scripts/finetune.py --task text-classification --model_name_or_path bert-base-cased \\
    --dataset_name cornell-movie-review-data/rotten_tomatoes
    a data set of the Hub; the recipe is chosen by its size and the model's, and said
accelerate launch scripts/finetune.py small_data --task text-classification --model_name_or_path runs/masked-1 \\
    --train_file questions.csv --text_column question --label_column type
    a named recipe, one's own table, one's own checkpoint
accelerate launch scripts/finetune.py lora --task causal-lm --model_name_or_path HuggingFaceTB/SmolLM2-135M \\
    --train_file instructions.json
    an adapter, on rows of instruction, input and output; of prompt and completion; or of messages
accelerate launch scripts/finetune.py vit_finetune --task image-classification --train_file photos/ \\
    --model_name_or_path google/vit-base-patch16-224-in21k
    a folder of classes with images in them, or a zip archive of one
accelerate launch scripts/finetune.py --task text-classification --architecture lstm --train_file questions.csv
    no checkpoint: random weights, and a tokenizer trained on the rows
"""

import sys
from collections.abc import Sequence
from functools import partial

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.tuning_topics import FINETUNE
from hf_strategies.runs.script import script


@script
def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Run the whole job and return what all_results.json holds."""
    words = list(sys.argv[1:] if argv is None else argv)
    read = partial(parse_arguments, words, description=__doc__, job=FINETUNE)
    arguments = read(default_recipe="finetune", recipe_is_open=True)
    # Imported here, since it takes seconds: a refused command line and --help answer first.
    from hf_strategies.runs.finetuning import finetune

    return finetune(arguments, None if arguments.recipe_is_named else lambda name: read(default_recipe=name))


if __name__ == "__main__":
    main()
