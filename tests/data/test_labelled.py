import json
from dataclasses import replace

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from hf_strategies.data.labelled import Columns, choose, read_sides
from hf_strategies.data.sources import DataSource
from hf_strategies.errors import UserError

LIMITS = {"validation_share": 0.2, "max_broken_share": 0.5}


def problem(row):
    return "" if isinstance(row["text"], str) and row["text"].strip() else "'text' is empty"


COLUMNS = Columns(names=(("text", "label"),), problem=problem, key=lambda row: row["text"])


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return DataSource(files=(str(path),))


def rows(count, start=0):
    return [{"text": f"text {n}", "label": n % 3, "more": 1} for n in range(start, start + count)]


def test_rows_are_held_out_by_their_content_and_nothing_else(tmp_path):
    some = read_sides(write(tmp_path / "a.jsonl", rows(400)), None, COLUMNS, **LIMITS)
    more = read_sides(write(tmp_path / "b.jsonl", rows(600)), None, COLUMNS, **LIMITS)
    assert 50 < len(some.validation) < 110  # 80 expected, standard deviation 8
    assert {row["text"] for row in some.validation} <= {row["text"] for row in more.validation}
    assert some.train[0].keys() == {"text", "label"}
    assert some.held_out == "20% of the rows, by hash"
    assert some.identity != more.identity


def test_the_share_that_is_held_out_is_told_as_it_is(tmp_path):
    found = [{"text": f"text {n}", "label": n // 2} for n in range(400)]
    columns = replace(COLUMNS, classes=lambda rows: [str(row["label"]) for row in rows])
    sides = read_sides(write(tmp_path / "a.jsonl", found), None, columns, **LIMITS)
    assert len(sides.validation) == 200  # one of each two of a class
    assert sides.held_out == "50% of the rows, by hash; 20% asked for"


def test_copies_of_one_text_are_not_called_empty_data(tmp_path):
    copies = [{"text": "one", "label": 1}] * 40
    with pytest.raises(UserError, match=r"leaves no rows to (train|validate) on, of 40 with 1 different content "):
        read_sides(write(tmp_path / "a.jsonl", copies), None, COLUMNS, **LIMITS)


def test_a_named_validation_file_is_the_validation_side(tmp_path):
    train, held = write(tmp_path / "train.jsonl", rows(10)), write(tmp_path / "held.jsonl", rows(5, start=100))
    sides = read_sides(train, held, COLUMNS, **LIMITS)
    assert (len(sides.train), len(sides.validation)) == (10, 5)


def test_rows_that_are_none_are_skipped_and_listed(tmp_path):
    found = [*rows(50), {"text": " ", "label": 1}, {"label": 1}]
    sides = read_sides(write(tmp_path / "a.jsonl", found), None, COLUMNS, **LIMITS)
    assert len(sides.train) + len(sides.validation) == 50
    assert "skipped 2 broken of 52 records" in sides.broken
    assert "a.jsonl:51 'text' is empty" in sides.broken
    assert "a.jsonl:52 no key 'text'" in sides.broken


def test_a_choice_of_rows_is_random_and_the_seeds_own():
    numbered = [{"n": n} for n in range(1000)]
    first, again, other = (choose(numbered, 100, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert 350 < sum(row["n"] for row in first) / 100 < 650  # 500 expected, standard error 29: not the first hundred
    assert choose(numbered, 2000, 0) == numbered


def test_a_file_of_lines_has_the_label_before_the_text(tmp_path):
    path = tmp_path / "TREC.train.all"
    path.write_bytes("0 How did\x0b it begin ?\n1 Who\u0085 was it ?\n".encode())
    sides = read_sides(DataSource(files=(str(path),)), DataSource(files=(str(path),)), COLUMNS, **LIMITS)
    assert sides.train == [
        {"text": "How did\x0b it begin ?", "label": "0"},
        {"text": "Who\u0085 was it ?", "label": "1"},
    ]


def test_classes_of_a_data_set_come_by_their_names(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    split = Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features=features)
    DatasetDict({"train": split, "test": split.select([0])}).save_to_disk(tmp_path / "saved")
    source = DataSource(dataset_name=str(tmp_path / "saved"))
    sides = read_sides(source, None, COLUMNS, **LIMITS)
    assert [row["label"] for row in sides.train] == ["yes", "no", None]
    assert (sides.held_out, len(sides.validation), sides.broken) == ("split test", 1, "")
    named = read_sides(source, write(tmp_path / "held.jsonl", rows(5)), COLUMNS, **LIMITS)
    assert (len(named.validation), named.broken) == (5, f"left out splits of {tmp_path / 'saved'}: test")


def test_the_first_way_of_columns_that_is_there_is_taken(tmp_path):
    ways = Columns(names=(("a", "b"), ("text", "label")), problem=lambda _: "", key=str)
    sides = read_sides(write(tmp_path / "a.jsonl", rows(30)), None, ways, **LIMITS)
    assert sides.train[0].keys() == {"text", "label"}
    ways = Columns(names=(("a", "b"), ("c",)), problem=lambda _: "", key=str)
    with pytest.raises(UserError, match=r"a\.jsonl: expected the columns a, b; or c; got text, label, more"):
        read_sides(write(tmp_path / "a.jsonl", rows(30)), None, ways, **LIMITS)


def test_a_missing_column_is_named_with_the_nearest_one(tmp_path):
    columns = Columns(names=(("text", "labels"),), problem=problem, key=str)
    with pytest.raises(UserError, match="no column 'labels', did you mean 'label'"):
        read_sides(write(tmp_path / "a.jsonl", rows(3)), None, columns, **LIMITS)


def test_a_file_without_a_row_says_so_instead_of_lacking_columns(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n")
    with pytest.raises(UserError, match=r"rows.csv: no row can be read \(there are none\)"):
        read_sides(DataSource(files=(str(path),)), None, COLUMNS, **LIMITS)
    path = tmp_path / "rows.jsonl"
    path.write_text("{text: 1}\n{text: 2}\n")
    with pytest.raises(UserError, match=r"rows.jsonl: no row can be read \(row 2: .*JSON"):
        read_sides(DataSource(files=(str(path),)), None, COLUMNS, **LIMITS)


def test_a_side_without_rows_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match="leaves no rows to validate on"):
        read_sides(write(tmp_path / "a.jsonl", rows(1)), None, COLUMNS, validation_share=1e-9, max_broken_share=0.0)
