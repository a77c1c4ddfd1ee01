import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from hf_strategies.errors import UserError
from hf_strategies.prompting import PromptTemplate
from hf_strategies.prompting.prompts import PromptEncoder, common_prefix

TEMPLATE = PromptTemplate("{text}\nA:", ["text"])


@pytest.fixture
def encoder(byte_tokenizer):
    """One token per byte: lengths can be counted in the head."""

    def build(words=("no", "yes"), *, limit=None, template=TEMPLATE, tokenizer=byte_tokenizer, **kind):
        return PromptEncoder(tokenizer, template, words, limit=limit, **{"is_encoder_decoder": False, **kind})

    return build


@pytest.fixture
def seam_tokenizer() -> PreTrainedTokenizerFast:
    """Merges ": y" across the seam between a prompt and a word, as byte-pair encodings do with a space."""
    letters = {char: number for number, char in enumerate("Aaeonsy:\n ")}
    letters |= {": ": 10, ": y": 11, "<s>": 12}
    made = Tokenizer(models.BPE(letters, [(":", " "), (": ", "y")]))
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>")


def said(tokenizer, tokens: list[int]) -> str:
    return tokenizer.decode(tokens)


def test_context_and_word_are_the_whole_text(encoder, byte_tokenizer):
    prompt = encoder().encode({"text": "Is it?"})
    assert said(byte_tokenizer, prompt.context) == "Is it?\nA:"
    assert [said(byte_tokenizer, ending) for ending in prompt.endings] == [" no", " yes"]


def test_tokens_across_the_seam_belong_to_the_words(encoder, seam_tokenizer):
    prompt = encoder(tokenizer=seam_tokenizer).ask("so\nA:")
    tokens = seam_tokenizer.convert_ids_to_tokens
    assert tokens(prompt.context) == ["s", "o", "\n", "A"]
    assert [tokens(ending) for ending in prompt.endings] == [[": ", "n", "o"], [": y", "e", "s"]]


def test_a_mark_that_ends_every_text_is_no_part_of_prompt_or_answer(encoder, seam_tokenizer):
    seam_tokenizer.add_special_tokens({"eos_token": "</s>"})
    ends = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", seam_tokenizer.eos_token_id)])
    seam_tokenizer.backend_tokenizer.post_processor = ends
    prompt = encoder(tokenizer=seam_tokenizer).ask("so\nA:")
    tokens = seam_tokenizer.convert_ids_to_tokens
    assert [tokens(ending) for ending in prompt.endings] == [[": ", "n", "o"], [": y", "e", "s"]]


def test_a_word_that_begins_another_keeps_its_tokens(encoder, byte_tokenizer):
    prompt = encoder(("good", "goodish")).encode({"text": "?"})
    assert [said(byte_tokenizer, ending) for ending in prompt.endings] == [" good", " goodish"]


def test_an_encoder_decoder_begins_with_the_word(encoder, byte_tokenizer):
    prompt = encoder(is_encoder_decoder=True).encode({"text": "Is it?"})
    assert said(byte_tokenizer, prompt.context) == "Is it?\nA:"
    assert [said(byte_tokenizer, ending) for ending in prompt.endings] == ["no", "yes"]


def test_demonstrations_come_before_the_question(encoder, byte_tokenizer):
    made = encoder()
    shown = [made.demonstrate({"text": "Up?"}, 1), made.demonstrate({"text": "Down?"}, 0)]
    prompt = made.encode({"text": "Left?"}, shown)
    assert said(byte_tokenizer, prompt.context) == "Up?\nA: yes\n\nDown?\nA: no\n\nLeft?\nA:"
    assert prompt.num_demonstrations == 2


@pytest.mark.parametrize(("limit", "kept"), [(34, 2), (33, 1), (23, 1), (22, 0), (11, 0)])
def test_the_last_demonstrations_make_room(encoder, limit, kept):
    """The question takes 7 tokens, a word at most 4, the demonstrations 12 and 11 with the empty line behind them."""
    prompt = encoder(limit=limit).encode({"text": "Why?"}, ["1234567890", "123456789"])
    assert (prompt.num_demonstrations, prompt.is_cut) == (kept, False)
    assert len(prompt.context) + 4 <= limit


def test_a_text_that_does_not_fit_alone_is_cut_word_by_word(encoder, byte_tokenizer):
    prompt = encoder(limit=20).encode({"text": "one two three four five"}, ["Up?\nA: yes"])
    assert said(byte_tokenizer, prompt.context) == "one two three\nA:"
    assert (prompt.num_demonstrations, prompt.is_cut) == (0, True)


def test_a_template_that_does_not_fit_is_refused(encoder):
    with pytest.raises(UserError, match="prompt_template: 7 tokens of it and of a label word are more than the 6"):
        encoder(limit=6)
    encoder(limit=7)


def test_an_empty_prompt_begins_with_the_tokenizers_own_mark(encoder, byte_tokenizer):
    prompt = encoder(template=PromptTemplate("{text}", ["text"])).ask("")
    assert prompt.context == [byte_tokenizer.eos_token_id]


def test_words_that_the_tokenizer_cannot_tell_apart_are_refused(encoder):
    words = Tokenizer(models.WordLevel({"<unk>": 0, "A:": 1, "good": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    with pytest.raises(UserError, match="'bad' and 'ugly' are the same tokens"):
        encoder(("good", "bad", "ugly"), tokenizer=tokenizer)


def test_a_word_without_tokens_is_refused(encoder, seam_tokenizer):
    with pytest.raises(UserError, match="the tokenizer makes no token of 'ZZZ'"):
        encoder(("yes", "ZZZ"), tokenizer=seam_tokenizer, is_encoder_decoder=True)


def test_a_common_prefix_ends_where_any_row_differs():
    assert common_prefix([[1, 2, 3], [1, 2, 4], [1, 2]]) == 2
    assert common_prefix([[1], [2, 1]]) == 0
    assert common_prefix([[4, 5]]) == 2
