"""The wording of a prompt: the columns' names in braces, and behind it the answer."""

from collections.abc import Mapping, Sequence
from string import Formatter

from hf_strategies.errors import UserError, did_you_mean

BETWEEN = "\n\n"  # one demonstration and the next


class PromptTemplate:
    """A wording that becomes a prompt for each row.

    Its `shown` are the columns that it has a place for, its `premise` is what stands behind the last of them.

    Args:
        wording: Text with columns' names in braces; a brace itself is written twice.
        columns: Those that a prompt may show. The label is none of them.

    Raises:
        UserError: Braces that do not close, a name that is no column, or no column at all.
    """

    def __init__(self, wording: str, columns: Sequence[str]) -> None:
        self.wording = wording
        self.columns = tuple(columns)
        known = ", ".join(f"{{{name}}}" for name in columns)
        try:
            parts = list(Formatter().parse(wording))
        except ValueError as error:
            raise UserError(f"prompt_template: {error} in {wording!r} (columns: {known})") from error
        named = [name for _, name, _, _ in parts if name is not None]
        for name in named:
            if name not in columns:
                guess = did_you_mean(name, columns)
                raise UserError(f"prompt_template: {{{name}}} is no column of the prompt{guess} (columns: {known})")
        if not named:
            raise UserError(f"prompt_template: expected a column in braces ({known}), got {wording!r}")
        self.shown = frozenset(named)
        self.premise = "" if parts[-1][1] is not None else parts[-1][0].lstrip()

    def fill(self, texts: Mapping[str, str]) -> str:
        """Write the prompt of a row, or of any other text for each column."""
        return self.wording.format(**{name: texts[name] for name in self.columns})

    def fill_all(self, text: str) -> str:
        """Write the prompt with one text in the place of every column."""
        return self.fill(dict.fromkeys(self.columns, text))


def with_answer(prompt: str, word: str) -> str:
    """Write an answer behind its prompt, with a space between where the prompt ends without one."""
    return prompt + word if not prompt or prompt[-1].isspace() else f"{prompt} {word}"
