"""From instructions, prompts or messages to the tokens of an example; the answer is all that is learned."""

from collections.abc import Mapping, Sequence
from typing import Any

from hf_strategies.data.example_packing import TokenExample
from hf_strategies.data.labelled import Row
from hf_strategies.errors import UserError
from hf_strategies.metrics.language_modeling import IGNORED
from hf_strategies.tasks.task import Question

# What a row may look like; the first that has all of its columns is taken.
FORMATS = (("messages",), ("instruction", "input", "output"), ("instruction", "output"), ("prompt", "completion"))
ROLES = ("system", "user", "assistant", "tool")

# The words of Stanford Alpaca (Taori et al. 2023), which most sets of this shape were made for.
TEMPLATE = "### Instruction:\n{instruction}\n\n### Response:\n"
TEMPLATE_WITH_INPUT = "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"


def problem_of(row: Row) -> str:
    """Say what is wrong with a row; nothing where it has something to ask and something to answer."""
    if "messages" in row:
        return _problem_of_messages(row["messages"])
    optional = {"input"}
    for name, value in row.items():
        if value is None and name in optional:
            continue
        if not isinstance(value, str):
            return f"{name!r} is not a text"
        if not value.strip() and name not in optional:
            return f"{name!r} is empty"
    return ""


def prompt_and_answer(row: Row, template: str | None) -> tuple[str, str]:
    """Write out the prompt of a row that is no conversation, and its answer.

    Args:
        row: Of one of `FORMATS` but messages.
        template: Its own wording, with the columns' names in braces; None takes Alpaca's for instructions, and a
            prompt as it is.
    """
    if "completion" in row:
        return (template or "{prompt}").format(**row), row["completion"]
    filled = {**row, "input": row.get("input") or ""}
    usual = TEMPLATE_WITH_INPUT if filled["input"].strip() else TEMPLATE
    return (template or usual).format(**filled), row["output"]


def encode(row: Row, tokenizer: Any, template: str | None = None) -> TokenExample:
    """Make the tokens of a row; the answer, and the mark that ends it, are what is learned."""
    if "messages" in row:
        return _encode_messages(row["messages"], tokenizer)
    _, asked, answer = question(row, tokenizer, template)
    answered = tokenizer(answer, add_special_tokens=False, verbose=False)["input_ids"]
    if tokenizer.eos_token_id is not None:
        answered = [*answered, tokenizer.eos_token_id]
    return TokenExample([*asked, *answered], [IGNORED] * len(asked) + answered)


def question(row: Row, tokenizer: Any, template: str | None = None) -> Question:
    """Return what a row asks and what it answers; of a conversation, its last turn of the assistant."""
    if "messages" in row:
        last = max(number for number, turn in enumerate(row["messages"]) if turn["role"] == "assistant")
        written = tokenizer.apply_chat_template(row["messages"][:last], tokenize=False, add_generation_prompt=True)
        tokens = tokenizer(written, add_special_tokens=False, verbose=False)["input_ids"]
        return Question(written, tokens, row["messages"][last]["content"])
    prompt, answer = prompt_and_answer(row, template)
    asked = tokenizer(prompt, add_special_tokens=True, verbose=False)["input_ids"]
    if asked and asked[-1] == tokenizer.eos_token_id and tokenizer.eos_token_id != tokenizer.bos_token_id:
        asked = asked[:-1]  # of tokenizers that end every text
    return Question(prompt, asked, answer)


def check_template(tokenizer: Any, name: str) -> None:
    """Refuse conversations for a tokenizer that cannot write them out.

    Raises:
        UserError: It has no chat template.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise UserError(
            f"the rows are conversations (messages), but the tokenizer of {name} has no chat template: take one of an "
            "instruction-tuned checkpoint with tokenizer_name, or write the rows as prompt and completion"
        )


def _encode_messages(messages: Sequence[Mapping[str, Any]], tokenizer: Any) -> TokenExample:
    """Learn what the assistant says, whatever else the template writes around it.

    The text is cut into tokens as a whole, as a model meets it later: a token that holds the end of a question and the
    beginning of its answer is learned too.
    """

    def written(count: int, *, asks: bool) -> str:
        return tokenizer.apply_chat_template(messages[:count], tokenize=False, add_generation_prompt=asks)

    whole = written(len(messages), asks=False)
    answers: list[tuple[int, int]] = []
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before, through = written(number, asks=True), written(number + 1, asks=False)
        if not (whole.startswith(through) and through.startswith(before)):
            raise ValueError("it writes a turn differently once others follow it")
        answers.append((len(before), len(through)))
    encoded = tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    labels = [
        token if any(start < end and begin < stop for start, stop in answers) else IGNORED
        for token, (begin, end) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]
    return TokenExample(encoded["input_ids"], labels)


def _problem_of_messages(messages: Any) -> str:
    if not isinstance(messages, list) or not messages:
        return "'messages' is not a list of turns"
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
            return f"turn {number} has no text under 'content'"
        if message.get("role") not in ROLES:
            return f"turn {number} has the role {message.get('role')!r}, expected one of {', '.join(ROLES)}"
    if not any(message["role"] == "assistant" and message["content"].strip() for message in messages):
        return "the assistant says nothing"
    return ""
