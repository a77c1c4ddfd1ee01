"""The small encoder that the parts on texts start from: pretrained here, once, on texts without labels.

The recipe's, with 128 dimensions; news, web pages, instructions and what the parts may learn from, 4.7 MB in all.
"""

from hf_strategies.arguments.tuning_topics import PRETRAIN

from .data import unlabelled_texts
from .ingredients import Ingredient, rows_file
from .scope import Scope
from .trial import Trial

MAX_LENGTH = 64  # tokens: a question or a sentence


def pretraining(scope: Scope) -> Trial:
    """Describe the run that makes it."""
    return scope.trial(
        part="small_data",
        task="pretraining",
        contender="encoder",
        seed=0,
        recipe="masked",
        script=PRETRAIN,
        settings={
            "train_file": rows_file("texts.jsonl", unlabelled_texts()),
            "hidden_size": 128,
            "num_attention_heads": 2,
            "max_seq_length": MAX_LENGTH,
            "per_device_train_batch_size": 32,
            "eval_strategy": "no",
            "save_strategy": "no",
        },
        kept="encoder",
        seconds=720,
    )


def untrained(encoder: Ingredient, seed: int) -> Ingredient:
    """Return its like with random weights."""

    def save(path) -> None:
        from .checkpoints import save_untrained

        save_untrained(encoder.path(), path, seed=seed)

    return Ingredient(f"untrained-{seed}", f"{encoder.identity}-untrained-{seed}", save)
