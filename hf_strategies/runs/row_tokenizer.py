"""The tokenizer of a fine-tuning run that starts from random weights: trained on its rows."""

from collections.abc import Iterator, Sequence

from transformers import PreTrainedTokenizerBase

from hf_strategies.arguments.topics import ModelArguments
from hf_strategies.data.labelled import Row
from hf_strategies.data.tokenizers import SPECIAL_TOKENS, train_tokenizer
from hf_strategies.models import ARCHITECTURES
from hf_strategies.tasks.task import Task

USUAL_VOCABULARY = 8192  # of few texts the tokenizer finds less to learn than that


def train_on_rows(model: ModelArguments, task: Task, rows: Sequence[Row]) -> PreTrainedTokenizerBase:
    """Train the tokenizer that the settings ask for, BPE where they do not say, with the special tokens of the model.

    All ranks come to the same one.

    Args:
        model: With an architecture.
        task: Whose texts, or lists of words, are read.
        rows: To train on.

    Raises:
        UserError: `vocab_size` cannot hold the bytes and the special tokens.
    """
    kind = model.tokenizer or "bpe"
    learned = [name for name in ARCHITECTURES[str(model.architecture)].facts["objectives"] if name in SPECIAL_TOKENS]
    return train_tokenizer(
        kind,
        _texts(task, rows),
        model.vocab_size or (USUAL_VOCABULARY if kind == "bpe" else None),
        objective=learned[0] if learned else "masked",
    )


def _texts(task: Task, rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        for name in task.text_fields:
            yield from [row[name]] if isinstance(row[name], str) else row[name]
