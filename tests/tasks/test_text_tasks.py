"""What the tasks of texts make of rows: inputs, labels, scores; by hand."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import EvalPrediction, PreTrainedTokenizerFast

from hf_strategies.data.example_packing import PackedExamples
from hf_strategies.data.sources import DataSource
from hf_strategies.errors import UserError
from hf_strategies.tasks import TASKS
from hf_strategies.tasks.task import TaskSettings, Writes

WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "who", "was", "lily", "she", "ran", "un", "##known", "."]
NUMBER = {word: number for number, word in enumerate(WORDS)}
IGNORED = -100


@pytest.fixture
def tokenizer():
    """Words of a short list, and [CLS] and [SEP] around them; `unknown` is two tokens."""
    made = Tokenizer(models.WordPiece(NUMBER, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends = [("[CLS]", 1), ("[SEP]", 2)]
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ends
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]",
        eos_token="[SEP]",
    )  # fmt: skip


def task(name: str, **settings):
    return TASKS[name].build(TaskSettings(**settings))


def settled(name: str, rows, **settings):
    made = task(name, **settings)
    made.settle(rows, rows, ())
    return made


def prediction(predictions, labels) -> EvalPrediction:
    return EvalPrediction(predictions=np.array(predictions), label_ids=np.array(labels))


ROWS = [{"text": "who was lily", "label": "b"}, {"text": "she ran", "label": "a"}]


@pytest.mark.parametrize(
    ("number", "settings"), [(lambda n: n // 2 / 8, {}), (lambda n: n // 2, {"regression": True})]
)
def test_values_are_no_classes_of_which_each_is_held_out(tmp_path, number, settings):
    """As classes, half of such rows would be: each value has two."""
    path = tmp_path / "ratings.csv"
    path.write_text("text,label\n" + "".join(f"text {n},{number(n)}\n" for n in range(400)))
    source = DataSource(files=(str(path),))
    made = task("text-classification", **settings)
    sides = made.read(source, None, None, validation_share=0.2, max_broken_share=0.0)
    assert 50 < len(sides.validation) < 110  # 80 expected, standard deviation 8
    assert f"{len(sides.validation) / 400:.0%} of the rows" in sides.held_out


def test_numbers_with_a_fraction_are_said_to_be_learned_as_values():
    rows = [{"text": "Python", "label": version} for version in ("3", "3.10", "3.11")]
    (note,) = task("text-classification").settle(rows, rows, ())
    assert note.startswith("labels are numbers with a fraction ('3.10'): learned as a regression")
    assert task("text-classification", regression=True).settle(rows, rows, ()) == []


def test_a_text_and_its_class(tokenizer):
    made = settled("text-classification", ROWS)
    sample = made.dataset("train", ROWS, tokenizer, seed=0)[0]
    assert sample["input_ids"] == [1, 4, 5, 6, 2]
    assert sample["labels"] == 1
    batch = made.collator(tokenizer)([made.dataset("train", ROWS, tokenizer, seed=0)[n] for n in (0, 1)])
    assert batch["input_ids"].tolist() == [[1, 4, 5, 6, 2], [1, 7, 8, 2, 0]]
    assert batch["labels"].tolist() == [1, 0]
    assert made.classes(ROWS) == [1, 0]


def test_a_pair_of_texts(tokenizer):
    rows = [{"text": "who was", "more": "she ran", "label": "a"}, {"text": "she", "more": "lily", "label": "b"}]
    made = settled("text-classification", rows, text_pair_column="more")
    assert made.dataset("train", rows, tokenizer, seed=0)[0]["input_ids"] == [1, 4, 5, 2, 7, 8, 2]


def test_rows_with_the_same_texts_are_copies_whatever_their_labels():
    key = task("text-classification").columns.key
    assert key(ROWS[0]) == key({**ROWS[0], "label": "a"}) != key(ROWS[1])


def test_texts_that_are_cut_are_counted(tokenizer):
    made = settled("text-classification", ROWS, max_seq_length=4)
    data = made.dataset("train", ROWS, tokenizer, seed=0)
    assert data[0]["input_ids"] == [1, 4, 5, 2]
    assert made.notes == ["1 of 2 train rows are longer than 4 tokens and are cut"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": " ", "label": "a"}, "'text' is empty"),
        ({"text": None, "label": "a"}, "'text' is not a text"),
        ({"text": "half \ud83d", "label": "a"}, "'text' holds half a character"),
        ({"text": "who", "label": None}, "no label"),
        ({"text": "who", "label": "a"}, ""),
    ],
)
def test_what_is_wrong_with_a_row_is_said(row, said):
    found = task("text-classification").columns.problem(row)
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_classes_are_scored_by_hand_values():
    made = settled("text-classification", ROWS)
    scores = made.score(prediction([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0], [5.0, 1.0]], [0, 1, 1, 0]))
    assert scores["accuracy"] == 0.75
    assert scores["f1_macro"] == pytest.approx((0.8 + 2 / 3) / 2)  # 2*2/(3+2) of a, 2*1/(1+2) of b
    assert scores["matthews_correlation"] == pytest.approx(1 / 3**0.5)  # (2*1 - 0*1) / sqrt(2*3*1*2)


def test_of_several_labels_each_logit_above_zero_is_one():
    rows = [{"text": "who", "label": ["a", "b"]}, {"text": "was", "label": []}]
    made = settled("text-classification", rows)
    assert made.metric == "multilabel_f1_micro"
    scores = made.score(prediction([[0.2, -0.1], [-3.0, 0.4]], [[1.0, 1.0], [0.0, 0.0]]))
    assert scores["multilabel_f1_micro"] == pytest.approx(0.5)  # one right, one lacking, one too many
    assert scores["multilabel_f1_macro"] == pytest.approx(0.5)  # 1 of a, 0 of b
    assert scores["subset_accuracy"] == 0.0


def test_numbers_are_scored_as_numbers():
    rows = [{"text": "who", "label": 0.5}, {"text": "was", "label": 2.0}]
    made = settled("text-classification", rows)
    scores = made.score(prediction([[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0]))
    assert scores["pearson"] == pytest.approx(1.0)
    assert scores["mean_squared_error"] == pytest.approx((1 + 4 + 9) / 3)


TAGGED = [{"text": ["who", "unknown", "lily"], "label": ["O", "O", "B-PER"]}]


def test_a_words_tag_stands_at_its_first_token(tokenizer):
    made = settled("token-classification", TAGGED)
    sample = made.dataset("train", TAGGED, tokenizer, seed=0)[0]
    assert sample["input_ids"] == [1, 4, 9, 10, 6, 2]
    o, person = made.tags.index("O"), made.tags.index("B-PER")
    assert sample["labels"] == [IGNORED, o, o, IGNORED, person, IGNORED]


def test_entities_are_scored_whole_and_tags_that_are_none_by_accuracy():
    made = settled("token-classification", [{"text": ["a"] * 3, "label": ["O", "B-X", "I-X"]}])
    number = {tag: place for place, tag in enumerate(made.tags)}
    o, begins, inside = number["O"], number["B-X"], number["I-X"]
    true = [[IGNORED, begins, inside, o, begins]]
    scores = made.score(prediction([[o, begins, o, o, begins]], true))  # the first is cut short, the second found
    assert (made.metric, scores["entity_f1"], scores["accuracy"]) == ("entity_f1", 0.5, 0.75)
    parts = settled("token-classification", [{"text": ["a"] * 2, "label": ["NOUN", "VERB"]}])
    assert parts.metric == "accuracy"
    assert set(parts.score(prediction([[0, 1]], [[0, 0]]))) == {"accuracy", "f1_macro"}


def test_a_target_is_what_is_learned_of_a_text(tokenizer):
    rows = [{"text": "who was lily", "label": "she ran"}]
    made = settled("seq2seq", rows, max_target_length=3)
    sample = made.dataset("train", rows, tokenizer, seed=0)[0]
    assert (sample["input_ids"], sample["labels"]) == ([1, 4, 5, 6, 2], [1, 7, 2])
    assert made.notes == ["1 of 1 target texts of train rows are longer than 3 tokens and are cut"]
    assert isinstance(made, Writes)
    assert made.question(rows[0], tokenizer).answer == "she ran"


def test_written_texts_are_scored_as_texts_and_rouge_where_it_can_read_them(tokenizer):
    rows = [{"text": "who", "label": "lily ran"}]
    made = settled("seq2seq", rows)
    made.dataset("train", rows, tokenizer, seed=0)
    scores = made.score(
        prediction([[1, 6, 8, 2, 0], [1, 7, 2, 0, 0]], [[1, 6, 8, 2, IGNORED], [1, 6, 2, IGNORED, IGNORED]])
    )
    assert scores["exact_match"] == 0.5
    assert scores["rouge1"] == pytest.approx(0.5)
    greek = [{"text": "who", "label": "\u03b7 \u039b\u03af\u03bb\u03b7"}]
    assert set(settled("seq2seq", greek).metrics) == {"chrf", "bleu", "exact_match"}


def test_answers_alone_are_learned_and_packed_examples_begin_anew(tokenizer):
    rows = [{"prompt": "who was", "completion": "lily"}, {"prompt": "she", "completion": "ran ."}]
    made = settled("causal-lm", rows, max_seq_length=16)
    packed = made.dataset("train", rows, tokenizer, seed=0)
    assert isinstance(packed, PackedExamples)
    row = {name: values.tolist() for name, values in packed[0].items()}
    assert row["input_ids"][:9] == [1, 4, 5, 6, 2, 1, 7, 8, 11]  # asked without the [SEP] that ends a text
    assert row["labels"][:10] == [IGNORED] * 3 + [6, 2] + [IGNORED] * 2 + [8, 11, 2]
    assert row["position_ids"][:10] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    assert set(row["labels"][10:]) == {IGNORED}


def test_unpacked_examples_are_padded_to_the_longest_and_attend_to_no_padding(tokenizer):
    rows = [{"prompt": "who was", "completion": "lily"}, {"prompt": "she", "completion": "ran"}]
    made = settled("causal-lm", rows, packing=False)
    data = made.dataset("train", rows, tokenizer, seed=0)
    batch = made.collator(tokenizer)([data[0], data[1]])
    assert batch["input_ids"].tolist() == [[1, 4, 5, 6, 2], [1, 7, 8, 2, 0]]
    assert batch["labels"].tolist() == [[IGNORED, IGNORED, IGNORED, 6, 2], [IGNORED, IGNORED, 8, 2, IGNORED]]
    assert batch["attention_mask"].tolist() == [[1] * 5, [1, 1, 1, 1, 0]]


def test_prompts_that_fill_a_row_leave_no_answer_to_learn(tokenizer):
    rows = [{"prompt": "who was lily she", "completion": "ran"}, {"prompt": "who", "completion": "ran"}]
    made = settled("causal-lm", rows, max_seq_length=5)
    assert len(made.dataset("train", rows, tokenizer, seed=0)) == 1
    assert made.notes == [
        "1 of 2 train examples are longer than 5 tokens and were cut; "
        "1 of them, whose answer would begin behind that, are left out"
    ]
    with pytest.raises(UserError, match="no example's answer begins within max_seq_length 2"):
        settled("causal-lm", rows, max_seq_length=2).dataset("train", rows, tokenizer, seed=0)


def test_perplexity_is_of_the_tokens_that_are_learned():
    made = task("causal-lm")
    logits = torch.zeros(1, 3, 4)  # every token one in four
    rows = made.reduce_logits(logits, torch.tensor([[IGNORED, 1, 2]]))
    assert rows.tolist() == [[pytest.approx(2 * np.log(4)), 2.0]]
    assert made.score(prediction(rows.tolist(), [0]))["perplexity"] == pytest.approx(4.0)
