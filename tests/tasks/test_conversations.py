import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hf_strategies.errors import UserError
from hf_strategies.metrics.language_modeling import IGNORED
from hf_strategies.tasks import conversations

CHAT = (
    "{% for message in messages %}<{{ message['role'] }}> {{ message['content'] }} <end> {% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)


@pytest.fixture
def tokenizer():
    words = [
        "<unk>",
        "<end>",
        "<pad>",
        "<user>",
        "<assistant>",
        "<system>",
        "ask",
        "me",
        "what",
        "say",
        "yes",
        "no",
        "###",
        "Instruction:",
        "Response:",
        "Input:",
    ]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", eos_token="<end>", pad_token="<pad>", chat_template=CHAT
    )


def learned(example, tokenizer):
    return tokenizer.convert_ids_to_tokens([label for label in example.labels if label != IGNORED])


def test_the_answer_and_its_end_are_learned_and_nothing_else(tokenizer):
    example = conversations.encode({"prompt": "ask me what", "completion": "say yes"}, tokenizer)
    assert tokenizer.convert_ids_to_tokens(example.input_ids) == ["ask", "me", "what", "say", "yes", "<end>"]
    assert learned(example, tokenizer) == ["say", "yes", "<end>"]


def test_instructions_are_worded_as_alpaca_does():
    row = {"instruction": "say", "input": "me", "output": "yes"}
    prompt, answer = conversations.prompt_and_answer(row, None)
    assert prompt == "### Instruction:\nsay\n\n### Input:\nme\n\n### Response:\n"
    assert answer == "yes"
    assert "Input" not in conversations.prompt_and_answer({**row, "input": " "}, None)[0]
    assert "Input" not in conversations.prompt_and_answer({"instruction": "say", "output": "yes"}, None)[0]


def test_a_template_of_ones_own_takes_its_place():
    row = {"instruction": "say {it}", "input": "me", "output": "yes"}
    assert conversations.prompt_and_answer(row, "Q: {instruction} ({input}) A:") == ("Q: say {it} (me) A:", "yes")


def test_of_a_conversation_every_turn_of_the_assistant_is_learned(tokenizer):
    messages = [
        {"role": "system", "content": "ask"},
        {"role": "user", "content": "what"},
        {"role": "assistant", "content": "say yes"},
        {"role": "user", "content": "me"},
        {"role": "assistant", "content": "no"},
    ]
    example = conversations.encode({"messages": messages}, tokenizer)
    assert learned(example, tokenizer) == ["say", "yes", "<end>", "no", "<end>"]
    assert len(example.input_ids) == len(example.labels)


def test_a_tokenizer_without_a_chat_template_is_named(tokenizer):
    conversations.check_template(tokenizer, "here")
    tokenizer.chat_template = None
    with pytest.raises(UserError, match="the tokenizer of there has no chat template"):
        conversations.check_template(tokenizer, "there")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "a", "completion": ""}, "'completion' is empty"),
        ({"prompt": 3, "completion": "b"}, "'prompt' is not a text"),
        ({"instruction": "a", "input": None, "output": "b"}, ""),
        ({"messages": []}, "'messages' is not a list of turns"),
        ({"messages": [{"role": "user"}]}, "turn 1 has no text under 'content'"),
        ({"messages": [{"role": "human", "content": "a"}]}, "turn 1 has the role 'human'"),
        ({"messages": [{"role": "user", "content": "a"}]}, "the assistant says nothing"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, ""),
    ],
)
def test_what_is_wrong_with_a_row_is_said(row, said):
    assert conversations.problem_of(row).startswith(said)
    assert bool(conversations.problem_of(row)) == bool(said)
