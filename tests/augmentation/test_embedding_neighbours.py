import math

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from hf_strategies.augmentation.embedding_neighbours import embedding_neighbours, whole_words

# Around their mean, which is zero: film and movie lie 20 degrees apart, picture 60 from film and 40 from movie.
ANGLES = {"film": 0, "movie": 20, "picture": 60, "question": 180, "answer": 200, "problem": 240}
PLANE = {name: (math.cos(math.radians(angle)), math.sin(math.radians(angle))) for name, angle in ANGLES.items()}


def table(tokenizer, *, shift: float = 0.0, hidden: int = 1000) -> torch.Tensor:
    """Embeddings in a plane of a space so wide that chance makes no neighbours."""
    embeddings = torch.randn(len(tokenizer), hidden, generator=torch.Generator().manual_seed(0))
    for name, point in PLANE.items():
        embeddings[tokenizer.convert_tokens_to_ids(name)] = torch.tensor([*point, *[0.0] * (hidden - 2)])
    return embeddings + shift


@pytest.mark.parametrize("shift", [0.0, 5.0])  # what all embeddings share says nothing
def test_neighbours_are_the_nearest_first_down_to_the_floor(word_tokenizer, shift):
    tokenizer = word_tokenizer(list(PLANE))
    found = embedding_neighbours(["film", "movie"], tokenizer, table(tokenizer, shift=shift))
    assert found == {"film": ["movie", "picture"], "movie": ["film", "picture"]}
    found = embedding_neighbours(["film"], tokenizer, table(tokenizer, shift=shift), floor=0.6)  # cos 60 is 0.5
    assert found == {"film": ["movie"]}


def test_of_many_neighbours_the_nearest_stay(word_tokenizer):
    tokenizer = word_tokenizer(list(PLANE))
    assert embedding_neighbours(["picture"], tokenizer, table(tokenizer), most=1) == {"picture": ["movie"]}


def test_a_word_that_is_not_one_token_has_none(word_tokenizer):
    tokenizer = word_tokenizer(list(PLANE))
    assert embedding_neighbours(["cinema", "film"], tokenizer, table(tokenizer)).keys() == {"film"}


def test_a_table_that_has_learned_nothing_has_none(word_tokenizer):
    words = [f"x{first}{second}" for first in "bcdfghklmnprstvw" for second in "abcdefghijklmnop"]
    tokenizer = word_tokenizer(words)
    noise = torch.randn(len(tokenizer), 48, generator=torch.Generator().manual_seed(1))
    found = embedding_neighbours(words, tokenizer, noise)
    # Of 256 random vectors in 48 dimensions, many have another at a cosine above 0.4.
    assert len(found) == 256
    assert not any(found.values())


def test_a_vocabulary_without_words_has_none(byte_tokenizer):
    assert embedding_neighbours(["film"], byte_tokenizer, torch.randn(258, 8)) == {}


def test_stop_words_pieces_capitals_and_special_tokens_are_no_whole_words(word_tokenizer):
    tokenizer = word_tokenizer(["film", "the", "Paris", "b2b", "st", "don't"])
    assert whole_words(tokenizer) == {"film": tokenizer.convert_tokens_to_ids("film")}


def test_of_a_byte_level_vocabulary_the_tokens_that_begin_with_a_space_are_words():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(["filming a film, seeing a film"] * 9 + ["reading"] * 9, trainer)
    words = whole_words(PreTrainedTokenizerFast(tokenizer_object=tokenizer))
    assert words["film"] == tokenizer.token_to_id("\u0120film")
    assert "ing" not in words  # a token, but none that stands alone


def test_a_real_checkpoint_knows_what_stands_in_similar_places(real_data):
    folder = real_data("stories260K")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    embeddings = AutoModelForCausalLM.from_pretrained(folder).get_input_embeddings().weight
    found = embedding_neighbours(["little", "day", "happy", "dragonfly"], tokenizer, embeddings)
    assert found == {"little": [], "day": ["time"], "happy": []}
