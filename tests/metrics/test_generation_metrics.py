import random

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from hf_strategies.errors import UserError
from hf_strategies.metrics.generation import bleu, chrf, exact_match, normalize_answer, rouge1, rouge_l, rouge_reads


@pytest.fixture
def written(real_data):
    """Lines of a play with a fifth of their words lost and others in another form, and the lines as they were."""
    lines = [line for line in real_data("tinyshakespeare/input.txt").read_text().splitlines() if len(line) > 30][:40]
    draw = random.Random(0)
    forms = [str, str.upper, "{}s".format]
    return [
        " ".join(draw.choice(forms)(word) for word in line.split() if draw.random() > 0.2) for line in lines
    ], lines


def test_whole_sets_are_scored_as_sacrebleu_does(written):
    predicted, true = written
    assert bleu(predicted, true) == pytest.approx(sacrebleu.corpus_bleu(predicted, [true]).score)
    assert bleu(predicted, true, tokenize="char", lowercase=True) == pytest.approx(
        sacrebleu.corpus_bleu(predicted, [true], tokenize="char", lowercase=True).score
    )
    assert chrf(predicted, true) == pytest.approx(sacrebleu.corpus_chrf(predicted, [true]).score)
    assert chrf(predicted, true, word_order=2) == pytest.approx(
        sacrebleu.corpus_chrf(predicted, [true], word_order=2).score
    )


def test_the_mean_over_texts_is_scored_as_rouge_score_does(written):
    predicted, true = written
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    each = [scorer.score(right, text)["rougeL"].fmeasure for text, right in zip(predicted, true, strict=True)]
    assert rouge_l(predicted, true, use_stemmer=True) == pytest.approx(sum(each) / len(each))


def test_of_several_right_texts_the_nearest_counts():
    predicted = ["a b c d e f", "g h i j k l"]
    true = [["x", "a b c d e f"], ["g h i j k l"]]
    assert [bleu(predicted, true), chrf(predicted, true)] == pytest.approx([100.0, 100.0])
    assert rouge1(predicted, true) == exact_match(predicted, true) == 1.0


def test_nothing_written_is_worth_nothing():
    for metric in (bleu, chrf, rouge1, exact_match):
        assert metric([""], ["a b c d e"]) == 0.0


def test_answers_are_compared_as_squad_does():
    assert normalize_answer("The  cat's, a\tTHEATRE!") == "cats theatre"
    assert exact_match(["The cat!"], ["cat"], normalize=True) == 1.0
    assert exact_match(["The cat!"], ["cat"]) == 0.0


RUSSIAN = "\u0434\u0430 2 ok"


def test_what_rouge_cannot_read_is_refused_instead_of_scored_as_zero():
    assert rouge1(["ok", "?"], ["ok ok", "?"]) == pytest.approx((2 / 3 + 0) / 2)  # a lone mark is no other script
    with pytest.raises(
        UserError, match="rouge1 reads a to z and digits alone, most letters here are others; take chrf"
    ):
        rouge1(["ok"] * 2, [RUSSIAN, RUSSIAN[:4]])
    assert rouge_reads(["Gr\u00fc\u00dfe aus K\u00f6ln", "12"])
    assert not rouge_reads([RUSSIAN[:2]])


def test_a_tokenizer_that_sacrebleu_lacks_is_named():
    with pytest.raises(UserError, match="bleu: no tokenizer 'chars', did you mean 'char'"):
        bleu(["a"], ["a"], tokenize="chars")


@pytest.mark.parametrize(
    ("predictions", "references", "complaint"),
    [
        (["a", None], ["a", "b"], "predictions: expected a text in row 1, got None"),
        (["a"], [[]], "references: expected a text in row 0, got None"),
        (["a"], [["a", 3]], "references: expected a text in row 0"),
        (["a"], ["a", "b"], "predictions: 1 rows, where references have 2"),
    ],
)
def test_what_is_no_text_is_named(predictions, references, complaint):
    with pytest.raises(UserError, match=complaint):
        exact_match(predictions, references)
