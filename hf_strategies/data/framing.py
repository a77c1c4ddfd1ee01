"""How documents stand in one stream of tokens: what marks their starts and their ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_strategies.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Framing:
    """The marks around documents.

    With a BOS token each document is [BOS, tokens, EOS]. Without one the stream is EOS, document, EOS, document, ...,
    EOS: the EOS in front of a document is its start marker, so that its first token, too, is predicted from something
    that the model also sees before a fresh text.

    Args:
        eos_token_id: Ends every document.
        bos_token_id: Begins every document; None where the tokenizer does not begin texts with one.
    """

    eos_token_id: int
    bos_token_id: int | None = None

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Framing:
        """Read the marks off a tokenizer: BOS counts if the tokenizer itself puts it in front of a text.

        A tokenizer without an EOS, as encoders have, ends documents with its separator.

        Raises:
            UserError: The tokenizer has neither.
        """
        end = tokenizer.sep_token_id if tokenizer.eos_token_id is None else tokenizer.eos_token_id
        if end is None:
            raise UserError(
                f"the tokenizer {tokenizer.name_or_path or type(tokenizer).__name__} has no end-of-text token; "
                'add one: tokenizer.add_special_tokens({"eos_token": "<|endoftext|>"}), then tokenizer.save_pretrained'
            )
        first = tokenizer("a").input_ids[0]
        return cls(end, first if first == tokenizer.bos_token_id else None)

    @property
    def opening(self) -> list[int]:
        """Tokens in front of the first document."""
        return [self.eos_token_id] if self.bos_token_id is None else []

    @property
    def before(self) -> list[int]:
        """Tokens in front of every document."""
        return [] if self.bos_token_id is None else [self.bos_token_id]

    @property
    def after(self) -> list[int]:
        """Tokens behind every document."""
        return [self.eos_token_id]

    @property
    def marker_offset(self) -> int:
        """Place of a document's start marker, counted from where its own tokens are appended to the stream."""
        return -1 if self.bos_token_id is None else 0
