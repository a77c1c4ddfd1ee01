import pytest

from hf_strategies.errors import UserError
from hf_strategies.prompting import choose_words


def test_classes_are_called_by_their_words_in_the_order_of_the_classes():
    assert choose_words(["0", "1"], {"1": " good ", "0": "bad"}) == ["bad", "good"]
    assert choose_words(["no", "yes"], None) == ["no", "yes"]


def test_words_for_other_classes_are_one_mistake():
    with pytest.raises(UserError) as refused:
        choose_words(["0", "1"], {"neg": "bad", "pos": "good"})
    assert str(refused.value) == "label_words: are for the classes neg, pos, and the rows have 0, 1"


def test_every_mistake_is_one_line():
    with pytest.raises(UserError) as refused:
        choose_words(["neg", "neutral", "pos", "other"], {"pso": "good", "neg": "bad", "neutral": " ", "pos": "bad"})
    assert str(refused.value).splitlines() == [
        "label_words: there is no class 'pso', did you mean 'pos'? (classes: neg, neutral, pos, other)",
        "label_words: class 'other' has no word (classes: neg, neutral, pos, other)",
        "label_words: the word of class 'neutral' is empty",
        "label_words: 'bad' stands for neg, pos; each class needs a word of its own",
    ]
