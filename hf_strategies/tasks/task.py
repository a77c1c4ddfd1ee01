"""What a task is: everything about fine-tuning that depends on what is to be learned, and on nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor
from torch.utils.data import Dataset
from transformers import EvalPrediction

from hf_strategies.data.labelled import Row, Sides
from hf_strategies.data.sources import DataSource


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """What a user may say about the rows of any task; each task takes what it has a use for.

    Args:
        text_column: Column of the text, of the source text, or of the prompt.
        text_pair_column: Column of a second text, where rows are pairs.
        image_column: Column of the image.
        label_column: Column of the label, of the target text, or of the tags.
        regression: Learn labels as numbers, also where all of them are whole.
        max_seq_length: Tokens per row at most; longer ones are cut, and counted.
        max_target_length: Tokens of a target text at most.
        prompt_template: Wording of a prompt, with the columns' names in braces; None takes the usual one.
        packing: Put several examples of a causal language model into one row of tokens.
        image_size: Pixels to which images are brought; None leaves them to the checkpoint, or as they are.
    """

    text_column: str = "text"
    text_pair_column: str | None = None
    image_column: str = "image"
    label_column: str = "label"
    regression: bool = False
    max_seq_length: int = 256
    max_target_length: int = 128
    prompt_template: str | None = None
    packing: bool = True
    image_size: int | None = None


class Question(NamedTuple):
    """What a model that writes is asked by a row: as a text, as the tokens that it sees, and what is right."""

    text: str
    tokens: list[int]
    answer: str


@runtime_checkable
class Writes(Protocol):
    """A task whose answers are texts that the model writes."""

    def question(self, row: Row, processor: Any) -> Question: ...


class Task(Protocol):
    """One kind of fine-tuning.

    The calls come in this order: with the model's `processor` (tokenizer, or the shape of its images) rows are read;
    `settle` looks at all of them; `config` then describes the head; rows become data sets, their samples batches, and
    predictions scores.

    Args:
        head: What the model ends in: a key of `models.HEADS`.
        metric: What the best checkpoint is chosen by, without "eval_".
        metrics: What evaluations report besides the loss; known once the task is settled.
        greater_is_better: Whether more of it is better.
        text_fields: Columns whose text augmentation may change.
        keeps_words: Whether each word of them must stay at its place, since it has a label of its own.
        embedded: What is read where nothing is named; empty where something must be.
        notes: What its user should know of the rows once there are data sets of them: such as are cut.
    """

    head: str
    greater_is_better: bool
    text_fields: tuple[str, ...]
    keeps_words: bool
    embedded: str

    @property
    def notes(self) -> Sequence[str]: ...

    @property
    def metric(self) -> str: ...

    @property
    def metrics(self) -> Sequence[str]: ...

    def read(self, train: DataSource, validation: DataSource | None, processor: Any, **limits: Any) -> Sides:
        """Read the rows of both sides; `limits` are those of `labelled.read_sides`."""
        ...

    def settle(self, train: Sequence[Row], validation: Sequence[Row], known: Sequence[str]) -> list[str]:
        """Look at all rows; `known` are the classes of the checkpoint's own head.

        Returns:
            What the user should know.

        Raises:
            UserError: Nothing can be learned from them.
        """
        ...

    @property
    def config(self) -> dict[str, Any]:
        """Fields of the model's config that follow from the rows."""
        ...

    def dataset(self, side: str, rows: Sequence[Row], processor: Any, *, seed: int, augment: Any = None) -> Dataset:
        """Return what a data loader draws from; it can be sent to a worker.

        Args:
            side: "train" or "validation".
            rows: Of that side.
            processor: The model's.
            seed: Of what is drawn on the rows.
            augment: What is done to training rows, a `TextAugmenter` or an `ImageSpec`; None leaves them as they are.
        """
        ...

    def classes(self, rows: Sequence[Row]) -> list[int] | None:
        """Number each row's class; None where a row has not just one."""
        ...

    def collator(self, processor: Any) -> Callable[[list], dict[str, Tensor]]:
        """What makes a batch of samples; asked once both data sets are there."""
        ...

    def reduce_logits(self, logits: Any, labels: Tensor) -> Any:
        """Reduce what leaves the device in an evaluation to what `score` needs."""
        ...

    def score(self, prediction: EvalPrediction) -> dict[str, float]:
        """Compute the metrics of a whole evaluation set."""
        ...
