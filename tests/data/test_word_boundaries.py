from itertools import islice

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from hf_strategies.data.standard_library import standard_library_documents
from hf_strategies.data.tokenizers import train_tokenizer
from hf_strategies.data.word_boundaries import WordBoundaries

PROSE = (
    "The quickest foxes weren't jumping over 12345 na\u00efve dogs, were they? Unbelievably lazy_ones (not mine)!\n"
)


@pytest.fixture(scope="module")
def texts():
    return [document.text for document in islice(standard_library_documents(), 10)]


@pytest.fixture(scope="module")
def wordpiece(texts) -> PreTrainedTokenizerFast:
    """A tokenizer made as BERT's was."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=800, special_tokens=special))
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)


@pytest.fixture(scope="module")
def metaspace() -> PreTrainedTokenizerFast:
    """A tokenizer such as T5's."""
    pieces = ["<pad>", "</s>", "<unk>", "\u2581the", "\u2581un", "believ", "able", "\u2581dog", "s", "\u2581bark"]
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def words_of(tokenizer, text: str) -> list[str]:
    ids = np.array(tokenizer(text, add_special_tokens=False).input_ids)
    numbers = WordBoundaries.of(tokenizer).number_words(ids)
    return [tokenizer.decode(ids[numbers == number].tolist()) for number in range(numbers[-1] + 1)]


@pytest.mark.parametrize("vocab_size", [300, 800])
def test_byte_level_tokens_make_up_the_words_that_bpe_does_not_cut(vocab_size, texts):
    tokenizer = train_tokenizer("bpe", texts, vocab_size)
    text = "The quickest foxes are na\u00efve, no?"
    assert words_of(tokenizer, text) == ["The", " quickest", " foxes", " are", " na\u00efve", ",", " no", "?"]


def test_they_are_the_words_of_the_tokenizer_itself_where_those_are_of_letters(texts):
    tokenizer = train_tokenizer("bpe", texts, 400)
    text = "the lazy dogs that nobody believes\nunbelievably slow ones are asleep"
    cut = tokenizer(text, add_special_tokens=False)
    ours = WordBoundaries.of(tokenizer).number_words(np.array(cut.input_ids))
    assert len(cut.input_ids) > 1.5 * len(text.split())
    spans = cut.encodings[0].offsets
    starts = {begin for begin, _ in (spans[place] for place in np.flatnonzero(np.diff(ours, prepend=-1)))}
    expected = {0, *(place for place, char in enumerate(text) if char in " \n")}
    assert starts - {text.index("\n") + 1} == expected  # the line's end is a word of its own


def test_wordpieces_are_joined_by_their_marks(wordpiece):
    cut = wordpiece(PROSE, add_special_tokens=False)
    ours = WordBoundaries.of(wordpiece).number_words(np.array(cut.input_ids))
    assert ours.tolist() == cut.word_ids()
    assert ours[-1] + 1 < len(ours)


def test_sentencepieces_begin_words_with_their_space(metaspace):
    assert words_of(metaspace, "the unbelievable dogs bark") == ["the", "unbelievable", "dogs", "bark"]


@pytest.mark.parametrize("kind", ["bytes", "chars"])
def test_bytes_and_characters_make_up_words_of_letters(kind, bytes_tokenizer):
    tokenizer = train_tokenizer(kind, ["abc nv"])
    assert words_of(tokenizer, "a na\u00efve b.c") == ["a", " na\u00efve", " b", ".", "c"]


def test_special_tokens_stand_alone(wordpiece):
    dog, sep = wordpiece.convert_tokens_to_ids(["d", "[SEP]"])
    (piece, *_) = [number for token, number in wordpiece.get_vocab().items() if token.startswith("##")]
    numbers = WordBoundaries.of(wordpiece).number_words(np.array([sep, dog, piece, sep, piece, sep]))
    assert numbers.tolist() == [0, 1, 1, 2, 3, 4]
