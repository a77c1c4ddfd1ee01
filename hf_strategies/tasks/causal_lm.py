"""Instruction tuning of a causal language model: learn the answer, given what was asked."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor
from torch.utils.data import Dataset
from transformers import EvalPrediction

from hf_strategies.data.example_packing import PackedExamples, TokenExample
from hf_strategies.data.labelled import Columns, Row, Sides, read_sides
from hf_strategies.data.sources import DataSource
from hf_strategies.errors import UserError, first_line
from hf_strategies.metrics.inputs import IGNORED, first_output
from hf_strategies.metrics.language_modeling import language_modeling_metrics, next_token_nll
from hf_strategies.tasks import conversations
from hf_strategies.tasks.task import Question, TaskSettings


class CausalLM:
    """Learn answers from rows of instructions, of prompts, or of messages; many of them share a row of tokens."""

    head = "causal"
    metric = "loss"
    metrics = ("perplexity",)
    greater_is_better = False
    text_fields = ()
    keeps_words = False
    embedded = ""

    def __init__(self, settings: TaskSettings) -> None:
        self.settings = settings
        self.notes: list[str] = []

    @property
    def columns(self) -> Columns:
        return Columns(
            names=conversations.FORMATS,
            problem=conversations.problem_of,
            key=lambda row: "\x1f".join(map(str, row.values())),
        )

    def read(self, train: DataSource, validation: DataSource | None, processor: Any, **limits: Any) -> Sides:
        return read_sides(train, validation, self.columns, **limits)

    def settle(self, train: Sequence[Row], validation: Sequence[Row], known: Sequence[str]) -> list[str]:
        template = self.settings.prompt_template
        if template is not None and "messages" in train[0]:
            raise UserError("prompt_template is of no use to conversations: the tokenizer's chat template writes them")
        try:
            conversations.prompt_and_answer(train[0], template) if template else None
        except (KeyError, IndexError, ValueError) as error:
            names = ", ".join(f"{{{name}}}" for name in train[0])
            raise UserError(f"prompt_template: expected the columns in braces ({names}), got {template!r}") from error
        return []

    @property
    def config(self) -> dict[str, Any]:
        return {}

    def dataset(self, side: str, rows: Sequence[Row], processor: Any, *, seed: int, augment: Any = None) -> Dataset:
        if "messages" in rows[0]:
            conversations.check_template(processor, processor.name_or_path)
        length = self.settings.max_seq_length
        examples = [self._encode(number, row, processor) for number, row in enumerate(rows, start=1)]
        cut = [TokenExample(example.input_ids[:length], example.labels[:length]) for example in examples]
        kept = [example for example in cut if any(label != IGNORED for label in example.labels[1:])]
        num_cut = sum(len(example.input_ids) > length for example in examples)
        if num_cut:
            self.notes.append(
                f"{num_cut:,} of {len(examples):,} {side} examples are longer than {length} tokens and were cut; "
                f"{len(cut) - len(kept):,} of them, whose answer would begin behind that, are left out"
            )
        if not kept:
            raise UserError(f"no example's answer begins within max_seq_length {length}: the prompts are longer")
        if self.settings.packing:
            return PackedExamples(kept, length, pad_token_id=processor.pad_token_id)
        return SingleExamples(kept)

    def _encode(self, number: int, row: Row, processor: Any) -> TokenExample:
        try:
            return conversations.encode(row, processor, self.settings.prompt_template)
        except (NotImplementedError, TemplateError, ValueError) as error:  # a template refuses in words of its own
            raise UserError(
                f"row {number:,}: the chat template does not take this conversation: {first_line(error)}"
            ) from error

    def classes(self, rows: Sequence[Row]) -> list[int] | None:
        return None

    def collator(self, processor: Any) -> Callable[[list], dict[str, Tensor]]:
        return PadExamples(processor.pad_token_id)

    def question(self, row: Row, processor: Any) -> Question:
        return conversations.question(row, processor, self.settings.prompt_template)

    def reduce_logits(self, logits: Any, labels: Tensor) -> Any:
        logits = first_output(logits)
        return next_token_nll(logits[:, -labels.shape[1] :], labels)  # without those of a soft prompt before the row

    def score(self, prediction: EvalPrediction) -> dict[str, float]:
        return language_modeling_metrics(prediction.predictions, num_bytes=None)


class SingleExamples(Dataset):
    """One example per row, as long as it is."""

    draws_nothing = True

    def __init__(self, examples: Sequence[TokenExample]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        example = self.examples[index]
        return {"input_ids": torch.tensor(example.input_ids), "labels": torch.tensor(example.labels)}


class PadExamples:
    """Collates rows of tokens, filled up at their ends to the longest; rows of one length are only stacked.

    Args:
        pad_token_id: Fills `input_ids`; labels are IGNORED there, and attention is kept off it.
    """

    def __init__(self, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    def __call__(self, rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        fill = {"input_ids": self.pad_token_id, "labels": IGNORED, "position_ids": 0}
        batch = {
            name: torch.nn.utils.rnn.pad_sequence(
                [row[name] for row in rows], batch_first=True, padding_value=fill[name]
            )
            for name in rows[0]
        }
        if "position_ids" not in batch:  # with positions that restart, the host finds the examples by itself
            lengths = torch.tensor([len(row["input_ids"]) for row in rows])
            batch["attention_mask"] = (torch.arange(batch["input_ids"].shape[1]) < lengths[:, None]).long()
        return batch
