"""How blocks of text become examples for models that read the whole text, by the name of the objective.

A builder takes a tokenizer, the tokens that a model reads, and the settings in `hyperparameters`; it returns a
`Masking`. The causal objective needs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from hf_strategies.errors import UserError, did_you_mean
from hf_strategies.ranges import AT_LEAST_ONE, SWITCH, Rule, is_number
from hf_strategies.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerBase

MASKINGS: Registry = Registry("masking")

MASKINGS.add(
    "masked",
    "hf_strategies.data.token_masking:token_masking",
    summary="BERT's: 15% of the tokens, or of whole words' tokens, are hidden and named",
    paper="https://arxiv.org/abs/1810.04805",
    hyperparameters=("rate", "whole_words"),
)
MASKINGS.add(
    "span",
    "hf_strategies.data.span_corruption:span_corruption",
    summary="T5's: spans of 3 tokens are cut out, 15% in all, and written by a decoder",
    paper="https://arxiv.org/abs/1910.10683",
    hyperparameters=("rate", "mean_span_length"),
)

RANGES: dict[str, Rule] = {
    "rate": (lambda value: is_number(value) and 0 < value < 1, "a number in (0, 1)"),
    "whole_words": SWITCH,
    "mean_span_length": AT_LEAST_ONE,
}


class Masking(Protocol):
    """Makes an example of a block's tokens; what is hidden is drawn."""

    @property
    def tokens_per_block(self) -> int: ...

    @property
    def inputs_length(self) -> int: ...

    def __call__(self, ids: np.ndarray, generator: np.random.Generator) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True, kw_only=True)
class MaskingRequest:
    """A masking to be built once the tokenizer is there.

    Args:
        objective: Name on the shelf.
        settings: Its own, checked.
        seed: Of what it draws.
    """

    objective: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int

    def build(self, tokenizer: PreTrainedTokenizerBase, inputs_length: int) -> Masking:
        """Build it for examples of so many tokens.

        Raises:
            UserError: The tokenizer lacks what it needs, or the length holds no text.
        """
        return MASKINGS[self.objective].build(tokenizer, inputs_length, **self.settings)


def check_masking_settings(objective: str, hyper: Mapping[str, Any]) -> None:
    """Refuse what an objective could not be given.

    Args:
        objective: Of pretraining; "causal" has no settings.
        hyper: Its settings.

    Raises:
        UserError: A setting is unknown, or its value is out of range.
    """
    known = MASKINGS[objective].facts["hyperparameters"] if objective in MASKINGS else ()
    for name, value in hyper.items():
        if name not in known:
            choices = f" (known: {', '.join(known)})" if known else ""
            raise UserError(f"objective {objective} has no setting {name!r}{did_you_mean(name, known)}{choices}")
        holds, expected = RANGES[name]
        if not holds(value):
            raise UserError(f"{name} must be {expected}, got {value!r}")
