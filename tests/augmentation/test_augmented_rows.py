import pickle

import pytest
from torch.utils.data import DataLoader

from hf_strategies.augmentation.augmented import AugmentedRows
from hf_strategies.augmentation.text import TextAugmenter, augment_text, augment_words, parse_text_spec
from hf_strategies.errors import UserError

ROWS = [
    {"text": f"row {number} has some words of its own", "pair": "and another", "label": number} for number in range(6)
]
AUGMENT = TextAugmenter(parse_text_spec(["random_swap", "aeda"]), seed=3)


def encode(row):
    return {"input": row["text"], "pair": row["pair"], "labels": row["label"]}


def augmented(fields=("text",), rows=ROWS, augment=AUGMENT) -> AugmentedRows:
    return AugmentedRows(rows, fields, encode, augment)


def test_by_index_rows_are_as_they_are():
    dataset = augmented()
    assert [dataset[index] for index in range(len(dataset))] == [encode(row) for row in ROWS]


def test_a_draw_augments_the_fields_and_nothing_else():
    sample = augmented().draw(4, epoch=7)
    text = augment_text(ROWS[4]["text"], AUGMENT.spec, seed=3, epoch=7, example=4, field="text")
    assert sample == {"input": text, "pair": "and another", "labels": 4}
    assert text != ROWS[4]["text"] == "row 4 has some words of its own"


def test_two_fields_are_drawn_for_apart():
    rows = [{"text": "one two three four five", "pair": "one two three four five", "label": 0}]
    sample = augmented(("text", "pair"), rows).draw(0, epoch=0)
    assert sample["input"] != sample["pair"]


def test_words_are_augmented_as_words():
    rows = [{"text": ["two words", "in one", "and", "more"], "pair": "", "label": [0, 1, 2, 3]}]
    sample = augmented(rows=rows).draw(0, epoch=1)
    assert sample["input"] == augment_words(rows[0]["text"], AUGMENT.spec, seed=3, epoch=1, example=0)
    assert {"two words", "in one"} < set(sample["input"])


def test_epochs_differ_and_come_again():
    dataset = augmented()
    drawn = [dataset.draw(0, epoch)["input"] for epoch in range(8)]
    assert len(set(drawn)) == 8
    assert [dataset.draw(0, epoch)["input"] for epoch in reversed(range(8))] == drawn[::-1]


def test_without_augmentation_a_draw_is_the_row():
    assert augmented(augment=None).draw(2, epoch=5) == encode(ROWS[2])


def test_a_copy_in_a_worker_draws_the_same():
    dataset = augmented()
    copy = pickle.loads(pickle.dumps(dataset))
    assert [copy.draw(index, 1) for index in range(6)] == [dataset.draw(index, 1) for index in range(6)]
    loader = DataLoader(dataset, batch_size=2, num_workers=1, collate_fn=list)
    assert [row for batch in loader for row in batch] == [encode(row) for row in ROWS]


def test_a_field_that_rows_lack_is_refused():
    with pytest.raises(UserError, match=r"no field 'txt' to augment, did you mean 'text'\? \(they have: text, pair, "):
        augmented(("txt",))


def test_no_rows_are_no_mistake():
    assert len(augmented(rows=[])) == 0
