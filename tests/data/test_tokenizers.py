import pytest

from hf_strategies.data.standard_library import standard_library_documents
from hf_strategies.data.tokenizers import train_tokenizer
from hf_strategies.errors import UserError


@pytest.fixture(scope="module")
def texts():
    return [document.text for document in standard_library_documents()][:40]


@pytest.mark.parametrize(("kind", "vocab_size"), [("bpe", 800), ("bytes", None), ("chars", None), ("chars", 300)])
def test_any_text_comes_back_as_it_was(kind, vocab_size, texts, odd_text):
    tokenizer = train_tokenizer(kind, texts, vocab_size)
    for text in ("", " ", "\n\n", "a\r\n", odd_text, *texts[:5]):
        assert tokenizer.decode(tokenizer(text).input_ids) == text


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


def test_the_same_texts_give_the_same_tokenizer(texts):
    one, two = (train_tokenizer("bpe", texts, 500).backend_tokenizer.to_str() for _ in range(2))
    assert one == two


def test_indentation_belongs_to_the_line_end_before_it():
    tokenizer = train_tokenizer("bpe", ["def f():\n        return x\n"] * 50, 400)
    tokens = [tokenizer.decode([token]) for token in tokenizer("def f():\n        return x\n").input_ids]
    assert tokens == ["def", " f", "():\n       ", " return", " x", "\n"]


def test_it_survives_being_saved(tmp_path, texts, odd_text):
    from transformers import AutoTokenizer

    trained = train_tokenizer("bpe", texts, 500)
    trained.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded(odd_text).input_ids == trained(odd_text).input_ids
    assert loaded.decode(loaded(odd_text).input_ids) == odd_text


@pytest.mark.parametrize(
    ("kind", "vocab_size", "complaint"),
    [
        ("bpe", 256, "vocab_size must be at least 257 .*got 256"),
        ("bpe", None, "needs vocab_size"),
        ("byte", None, "unknown tokenizer 'byte', did you mean 'bytes'"),
    ],
)
def test_nonsense_is_refused(kind, vocab_size, complaint):
    with pytest.raises(UserError, match=complaint):
        train_tokenizer(kind, ["text"], vocab_size)
