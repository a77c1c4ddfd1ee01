"""The small encoders that the parts on texts start from: pretrained here, once, on texts without labels.

The recipe's, with 128 dimensions; news, web pages, instructions and what the parts may learn from, 4.7 MB in all.
Then, for each task, on its own texts.
"""

from collections.abc import Mapping
from typing import Any

from hf_strategies.arguments.tuning_topics import PRETRAIN

from .data import Rows, task_texts, unlabelled_texts
from .ingredients import Ingredient, rows_file
from .scope import Scope
from .trial import Trial

MAX_LENGTH = 64  # tokens: a question or a sentence


def pretraining(scope: Scope) -> Trial:
    """Describe the run that makes the first."""
    settings = {"hidden_size": 128, "num_attention_heads": 2, "max_steps": 6000}
    return _run(scope, "encoder", "texts.jsonl", unlabelled_texts(), settings, seconds=1080)


def adapting(scope: Scope, task: str) -> Trial:
    """Describe the run that goes on with it on a task's own texts, as ULMFiT does before it classifies any."""
    settings = {
        "model_name_or_path": pretraining(scope).product(),
        "learning_rate": 4e-3,
        "max_steps": -1,
        "num_train_epochs": 12,
    }
    return _run(scope, f"encoder of {task}", f"{task}-texts.jsonl", task_texts(task), settings, seconds=240)


def _run(
    scope: Scope, contender: str, name: str, texts: Rows, settings: Mapping[str, Any], *, seconds: float
) -> Trial:
    return scope.trial(
        part="small_data",
        task="pretraining",
        contender=contender,
        seed=0,
        recipe="masked",
        script=PRETRAIN,
        settings={
            "train_file": rows_file(name, texts),
            "max_seq_length": MAX_LENGTH,
            "per_device_train_batch_size": 32,
            **settings,
            "eval_strategy": "no",
            "save_strategy": "no",
        },
        kept="encoder",
        seconds=seconds,
    )


def untrained(encoder: Ingredient, seed: int) -> Ingredient:
    """Return its like with random weights."""

    def save(path) -> None:
        from .checkpoints import save_untrained

        save_untrained(encoder.path(), path, seed=seed)

    return Ingredient(f"untrained-{seed}", f"{encoder.identity}-untrained-{seed}", save)
