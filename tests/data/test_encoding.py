import json

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from hf_strategies.data.encoding import GPT2, LLAMA3, SETTLED, WORD_PATTERNS, TextEncoder, settled_regex, word_pattern
from hf_strategies.data.standard_library import standard_library_documents
from hf_strategies.data.tokenizers import train_tokenizer

SETTLED_CHARACTERS = [chr(code) for code in range(0x3000) if SETTLED.fullmatch(chr(code))]
CONTEXTS = ["{}", "a{}", "{}a", " {} ", "1{}1", "\n{}\n", "'{}", "!{}\n  {}  x", "{}{}{}", "\t{}\t", "a {}b"]


@pytest.fixture(scope="module")
def texts():
    return [document.text for document in standard_library_documents()][:120:4]


@pytest.fixture(scope="module")
def trained(texts):
    return train_tokenizer("bpe", texts, 600).backend_tokenizer.to_str()


def by_tokenizer(tokenizer_json, texts):
    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.encode_special_tokens = True
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]


@pytest.mark.parametrize("pattern", WORD_PATTERNS, ids=["code_and_prose", "gpt2", "llama3", "qwen2"])
def test_words_are_those_of_the_tokenizers_own_engine(pattern):
    host = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    find_words = settled_regex(pattern).findall
    assert len(SETTLED_CHARACTERS) > 300
    random = np.random.default_rng(0)
    mixed = ["".join(random.choice([*" \n\r\t'sStaA1!.", *SETTLED_CHARACTERS[::8]], size=9)) for _ in range(2_000)]
    for text in [context.replace("{}", char) for context in CONTEXTS for char in SETTLED_CHARACTERS] + mixed:
        assert find_words(text) == [word for word, _ in host.pre_tokenize_str(text)]


def test_ids_are_those_of_the_tokenizer_on_source_code_and_odd_text(trained, texts, odd_text):
    encoder = TextEncoder(trained, np.uint16)
    assert encoder.words is not None
    every = [*texts, odd_text, "", "plain caf\u00e9 \u2014 \u201cquoted\u201d"]
    assert [ids.tolist() for ids in encoder.encode(every)] == by_tokenizer(trained, every)


@pytest.mark.parametrize("kind", ["gpt2", "llama3"])
def test_ids_are_those_of_the_hosts_own_kinds_of_tokenizers(kind, texts):
    tokenizer = Tokenizer(models.BPE(ignore_merges=kind == "llama3"))
    if kind == "gpt2":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        split = pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated")
        as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, as_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts[:8], trainer)
    assert word_pattern(json.loads(tokenizer.to_str())) == {"gpt2": GPT2, "llama3": LLAMA3}[kind]
    ids = [ids.tolist() for ids in TextEncoder(tokenizer.to_str(), np.uint16).encode(texts)]
    assert ids == by_tokenizer(tokenizer.to_str(), texts)


def test_a_special_tokens_name_inside_a_text_is_text(trained):
    (ids,) = TextEncoder(trained, np.uint16).encode(["a <|endoftext|> b"])
    assert 0 not in ids.tolist()
    assert Tokenizer.from_str(trained).decode(ids.tolist()) == "a <|endoftext|> b"


@pytest.mark.parametrize(
    "change",
    [
        {"normalizer": {"type": "Lowercase"}},
        {"pre_tokenizer": None},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
        {"added_tokens": [{"id": 0, "content": "def", "special": False}]},
        {"model": {"type": "BPE", "byte_fallback": True}},
        {"model": {"type": "BPE", "dropout": 0.1}},
        {"model": {"type": "Unigram"}},
    ],
)
def test_what_is_not_known_exactly_is_left_to_the_tokenizer(trained, change):
    assert word_pattern(json.loads(trained)) is not None
    assert word_pattern({**json.loads(trained), **change}) is None


def test_a_truncating_and_padding_tokenizer_keeps_every_token(trained):
    tokenizer = Tokenizer.from_str(trained)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=8)
    texts = ["some words that are more than four tokens", "\u65e5"]
    encoded = TextEncoder(tokenizer.to_str(), np.uint16).encode(texts)
    assert [ids.tolist() for ids in encoded] == by_tokenizer(trained, texts)


def test_only_words_of_a_usual_length_are_remembered(trained):
    encoder = TextEncoder(trained, np.uint16)
    texts = ["x" * 64, "x" * 65, "x" * 100_000]
    assert [ids.tolist() for ids in encoder.encode(texts)] == by_tokenizer(trained, texts)
    assert set(encoder.words) == {"x" * 64}
