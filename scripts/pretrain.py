"""Pretrain a language model, from scratch or from a checkpoint, on your text.

accelerate launch scripts/pretrain.py
    train a small Transformer++ on the Python standard library's source: about five minutes on two cores
accelerate launch scripts/pretrain.py --train_file "corpus/*.jsonl.zst" --output_dir runs/mine
    the same recipe on your data
accelerate launch scripts/pretrain.py mine.yaml --learning_rate 2e-3
    settings from a YAML file, one of them changed
accelerate launch scripts/pretrain.py --model_name_or_path HuggingFaceTB/SmolLM2-135M --train_file notes.txt
    continue a checkpoint
accelerate launch scripts/pretrain.py masked --train_file "corpus/*.txt"
    train an encoder (BERT) that names hidden words; span trains an encoder-decoder (T5)
accelerate launch scripts/pretrain.py gpt3_125m --scale_to 5M --train_file "corpus/*.txt"
    a paper's recipe, shrunk to what a small machine can train; it says by which rules
accelerate launch scripts/pretrain.py --model_name_or_path runs/pretrain-1 --do_eval --validation_file notes.txt
    evaluate without training
"""

from collections.abc import Sequence

from hf_strategies.arguments import parse_arguments
from hf_strategies.runs.script import script


@script
def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Run the whole job and return what all_results.json holds."""
    arguments = parse_arguments(argv, description=__doc__, default_recipe="pretrain")
    # Imported here, since it takes seconds: a refused command line and --help answer first.
    from hf_strategies.runs.pretraining import pretrain

    return pretrain(arguments)


if __name__ == "__main__":
    main()
