"""From a row to the tokens that a model is asked with: a context, and behind it each label word."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hf_strategies.errors import UserError
from hf_strategies.prompting.templates import BETWEEN, PromptTemplate, with_answer


@dataclass(frozen=True)
class Prompt:
    """What is asked about a row.

    Args:
        context: Tokens that come before every label word.
        endings: Tokens of each label word, none of them empty.
        num_demonstrations: How many rows it shows with their answers.
        is_cut: Whether the row's own texts had to be cut.
    """

    context: list[int]
    endings: list[list[int]]
    num_demonstrations: int = 0
    is_cut: bool = False


class PromptEncoder:
    """Writes prompts as tokens.

    A causal model reads prompt and word as one text. Tokens may reach across the seam between them, so the context is
    what the prompt alone and the prompt with every word have in common: the likelihood of what follows is that of the
    whole text but for a factor that all words share. An encoder-decoder reads the prompt and begins with the word.

    Args:
        tokenizer: The model's.
        template: Of the prompts.
        words: Of the classes.
        limit: Tokens that a model can read at once; None where there is no such limit.
        is_encoder_decoder: What the model is.

    Raises:
        UserError: A word has no tokens, two words have the same, or the template itself does not fit the limit.
    """

    def __init__(
        self,
        tokenizer: Any,
        template: PromptTemplate,
        words: Sequence[str],
        *,
        limit: int | None,
        is_encoder_decoder: bool,
    ) -> None:
        self.tokenizer = tokenizer
        self.template = template
        self.words = list(words)
        self.limit = limit
        self.is_encoder_decoder = is_encoder_decoder
        empty = self.ask(template.fill_all(""))
        self._check_words(empty)
        if not self._fits(empty):
            raise UserError(
                f"prompt_template: {self._length(empty)} tokens of it and of a label word are more than the {limit} "
                "that the model reads at once (max_seq_length, or its positions), before there is any text in it"
            )

    def demonstrate(self, texts: Mapping[str, str], number: int) -> str:
        """Write a row with the word of its class."""
        return with_answer(self.template.fill(texts), self.words[number])

    def encode(self, texts: Mapping[str, str], demonstrations: Sequence[str] = ()) -> Prompt:
        """Write the prompt of a row behind as many of the demonstrations as fit; where none does, its texts are cut.

        Args:
            texts: Of the row, by column.
            demonstrations: As `demonstrate` writes them; the last are the first to be left out.
        """

        def showing(count: int) -> Prompt:
            asked = BETWEEN.join([*demonstrations[:count], self.template.fill(texts)])
            prompt = self.ask(asked)
            return Prompt(prompt.context, prompt.endings, count)

        whole = showing(len(demonstrations))
        if self._fits(whole):
            return whole
        fewer = self._largest(len(demonstrations), showing)
        return fewer if self._fits(fewer) else self._cut(texts)

    def ask(self, prompt: str) -> Prompt:
        """Make the tokens of a prompt as it is."""
        if self.is_encoder_decoder:
            endings = self.tokenizer(text_target=self.words, add_special_tokens=False)["input_ids"]
            return Prompt(self._tokens([prompt])[0], endings)
        written = [prompt, *(with_answer(prompt, word) for word in self.words)]
        rows = [self._open(row) for row in self._tokens(written)]
        shared = common_prefix(rows)
        start = rows[0][:shared] or [self._start_token()]
        return Prompt(start, [row[shared:] for row in rows[1:]])

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        return self.tokenizer(texts, verbose=False)["input_ids"]  # what is too long is not used, only tried

    def _open(self, row: list[int]) -> list[int]:
        """Take off the mark that some tokenizers end every text with."""
        end = self.tokenizer.eos_token_id
        return row[:-1] if row and row[-1] == end and end != self.tokenizer.bos_token_id else row

    def _start_token(self) -> int:
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if token is not None:
                return token
        raise UserError("prompt_template: a prompt is empty, and the tokenizer has no token to begin with")

    def _cut(self, texts: Mapping[str, str]) -> Prompt:
        """Keep as many words of the row's texts as fit, of each from its start."""
        words = {name: text.split(" ") for name, text in texts.items()}

        def keeping(count: int) -> Prompt:
            prompt = self.ask(self.template.fill({name: " ".join(kept[:count]) for name, kept in words.items()}))
            return Prompt(prompt.context, prompt.endings, is_cut=True)

        return self._largest(max(map(len, words.values())), keeping)

    def _largest(self, most: int, make: Any) -> Prompt:
        """Make the largest of `most + 1` prompts, each longer than the one before, that fits; else the smallest."""
        too_long = bisect_left(range(most + 1), True, key=lambda count: not self._fits(make(count)))
        return make(max(too_long - 1, 0))

    def _fits(self, prompt: Prompt) -> bool:
        return self.limit is None or self._length(prompt) <= self.limit

    def _length(self, prompt: Prompt) -> int:
        longest = max(map(len, prompt.endings))
        return max(len(prompt.context), longest) if self.is_encoder_decoder else len(prompt.context) + longest

    def _check_words(self, prompt: Prompt) -> None:
        seen: dict[tuple[int, ...], str] = {}
        for word, ending in zip(self.words, prompt.endings, strict=True):
            if not ending:
                raise UserError(f"label_words: the tokenizer makes no token of {word!r}; choose another word")
            if (same := seen.setdefault(tuple(ending), word)) != word:
                raise UserError(
                    f"label_words: {same!r} and {word!r} are the same tokens to this tokenizer, which cannot write "
                    "all of them; choose other words"
                )


def common_prefix(rows: Sequence[list[int]]) -> int:
    """Count the tokens with which all rows begin."""
    first, last = min(rows), max(rows)  # whatever these two share, all in between share
    for place, (one, other) in enumerate(zip(first, last)):
        if one != other:
            return place
    return len(first)
