import pytest
from transformers import AutoTokenizer

from hf_strategies.data.standard_library import standard_library_documents
from hf_strategies.data.tokenizers import SPECIAL_TOKENS, train_tokenizer
from hf_strategies.errors import UserError


@pytest.fixture(scope="module")
def texts():
    return [document.text for document in standard_library_documents()][:40]


@pytest.mark.parametrize(("kind", "vocab_size"), [("bpe", 800), ("bytes", None), ("chars", None), ("chars", 400)])
@pytest.mark.parametrize("objective", sorted(SPECIAL_TOKENS))
def test_any_text_comes_back_as_it_was(kind, vocab_size, objective, texts, odd_text):
    tokenizer = train_tokenizer(kind, texts, vocab_size, objective=objective)
    for text in ("", " ", "\n\n", "a\r\n", odd_text, *texts[:5]):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


def test_sizes_are_what_was_asked_for(texts):
    assert len(train_tokenizer("bpe", texts, 800)) == 800
    assert len(train_tokenizer("bytes", texts)) == 257
    assert len(train_tokenizer("chars", ["abca"])) == 257 + 3
    assert len(train_tokenizer("chars", texts, 300)) == 300


def test_bytes_are_numbered_by_their_value_and_characters_by_their_frequency():
    assert train_tokenizer("bytes", [])("a\u00e9").input_ids == [0x61 + 1, 0xC3 + 1, 0xA9 + 1]
    assert train_tokenizer("chars", ["abbcb"])("bac\u00e9").input_ids == [257, 258, 259, 0xC3 + 1, 0xA9 + 1]


def test_the_end_of_text_is_also_the_padding(texts):
    tokenizer = train_tokenizer("bpe", texts, 300)
    assert tokenizer.eos_token == tokenizer.pad_token == "<|endoftext|>"
    assert tokenizer.eos_token_id == tokenizer.pad_token_id == 0
    assert tokenizer.bos_token_id is None
    assert tokenizer("a").input_ids != []


@pytest.mark.parametrize("kind", ["bpe", "bytes", "chars"])
def test_an_encoders_texts_stand_between_its_own_tokens_and_a_pair_is_told_apart(kind, texts, tmp_path):
    trained = train_tokenizer(kind, texts, 400 if kind == "bpe" else None, objective="masked")
    trained.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.eos_token is None
    assert (tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id) == (
        0, 1, 2, 3,
    )  # fmt: skip
    one, other = (tokenizer(text, add_special_tokens=False).input_ids for text in ("return", "x"))
    pair = tokenizer("return", "x")
    assert pair["input_ids"] == [1, *one, 2, *other, 2]
    assert pair["token_type_ids"] == [0] * (len(one) + 2) + [1] * (len(other) + 1)
    assert tokenizer.decode(pair["input_ids"], skip_special_tokens=True) == "returnx"


def test_a_mask_takes_the_space_before_it_as_a_word_does(texts):
    tokenizer = train_tokenizer("bpe", texts, 400, objective="masked")
    assert tokenizer("if [MASK] in", add_special_tokens=False).input_ids == [
        *tokenizer("if", add_special_tokens=False).input_ids, 3, *tokenizer(" in", add_special_tokens=False).input_ids,
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "size"), [("bpe", 500), ("bytes", None), ("chars", None)])
def test_an_encoder_decoders_texts_are_ended_and_its_sentinels_are_numbered_as_t5s(kind, size, texts, tmp_path):
    trained = train_tokenizer(kind, texts, size, objective="span")
    trained.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 1)
    assert size is None or len(tokenizer) == size
    first, last = len(tokenizer) - 1, len(tokenizer) - 100
    assert tokenizer("<extra_id_0><extra_id_99>").input_ids == [first, last, 1]
    assert tokenizer.decode([first, 1], skip_special_tokens=True) == ""
    assert "token_type_ids" not in tokenizer("x")


def test_the_same_texts_give_the_same_tokenizer(texts):
    one, two = (train_tokenizer("bpe", texts, 500).backend_tokenizer.to_str() for _ in range(2))
    assert one == two


def test_indentation_belongs_to_the_line_end_before_it():
    tokenizer = train_tokenizer("bpe", ["def f():\n        return x\n"] * 50, 400)
    tokens = [tokenizer.decode([token]) for token in tokenizer("def f():\n        return x\n").input_ids]
    assert tokens == ["def", " f", "():\n       ", " return", " x", "\n"]


def test_it_survives_being_saved(tmp_path, texts, odd_text):
    trained = train_tokenizer("bpe", texts, 500)
    trained.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded(odd_text).input_ids == trained(odd_text).input_ids
    assert loaded.decode(loaded(odd_text).input_ids) == odd_text


@pytest.mark.parametrize(
    ("kind", "vocab_size", "objective", "complaint"),
    [
        ("bpe", 256, "causal", r"vocab_size must be at least 257 .*got 256"),
        ("bpe", 357, "span", r"vocab_size must be at least 358 \(256 bytes and 102 special tokens\), got 357"),
        ("bpe", None, "causal", "needs vocab_size"),
        ("byte", None, "causal", "unknown tokenizer 'byte', did you mean 'bytes'"),
    ],
)
def test_nonsense_is_refused(kind, vocab_size, objective, complaint):
    with pytest.raises(UserError, match=complaint):
        train_tokenizer(kind, ["text"], vocab_size, objective=objective)
