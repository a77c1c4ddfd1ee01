import gzip
import json

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from pyarrow import parquet

from hf_strategies.data.readers import read_file
from hf_strategies.data.records import Broken
from hf_strategies.errors import UserError

TEXTS = ["first line\nsecond\x0bline \x85 \u2028 end", "na\u00efve \U0001f600", "x" * 200_000]


def as_txt(texts):
    return "\n\n \n".join(texts).encode()


def as_jsonl(texts):
    return "".join(
        json.dumps({"text": text, "meta": {"set": "a"}}, ensure_ascii=False) + "\n" for text in texts
    ).encode()


def as_json(texts):
    return json.dumps([{"id": i, "text": text} for i, text in enumerate(texts)]).encode()


def as_csv(texts, delimiter=","):
    return ("id" + delimiter + "text\n" + "".join(f'1{delimiter}"{text}"\n' for text in texts)).encode()


def as_tsv(texts):
    return as_csv(texts, "\t")


def as_parquet(texts):
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table({"text": texts, "id": range(len(texts))}), sink)
    return sink.getvalue().to_pybytes()


FORMATS = {"txt": as_txt, "jsonl": as_jsonl, "json": as_json, "csv": as_csv, "tsv": as_tsv, "parquet": as_parquet}
COMPRESSIONS = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}


def texts_of(path, text_column="text"):
    return [text for _, text in read_file(path, text_column)]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_back_its_texts(tmp_path, suffix, compression):
    path = tmp_path / f"data.{suffix}{compression}"
    path.write_bytes(COMPRESSIONS[compression](FORMATS[suffix](TEXTS)))
    assert texts_of(path) == TEXTS


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_source_file_is_one_document_as_it_is(tmp_path, compression):
    path = tmp_path / f"module.py{compression}"
    path.write_bytes(COMPRESSIONS[compression](b"a = 1\r\n\n\nb = 2\n"))
    assert texts_of(path) == ["a = 1\r\n\n\nb = 2\n"]


def test_windows_line_ends_and_a_byte_order_mark_are_not_text(tmp_path):
    path = tmp_path / "data.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n\r\nthree\r\n")
    assert list(read_file(path, "text")) == [(1, "one\ntwo"), (4, "three")]


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_json_behind_a_byte_order_mark(tmp_path, suffix):
    path = tmp_path / f"data.{suffix}"
    path.write_bytes(b"\xef\xbb\xbf" + FORMATS[suffix](["one"]))
    assert texts_of(path) == ["one"]


def test_several_frames_of_zstandard_are_one_file(tmp_path):
    path = tmp_path / "pile.jsonl.zst"
    path.write_bytes(zstandard.compress(as_jsonl(["one"])) + zstandard.compress(as_jsonl(["two"])))
    assert texts_of(path) == ["one", "two"]


def test_broken_lines_of_json_are_named_by_row(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"txt": "x"}\n{"text": "cut\n\n{"text": 3}\n{"text": "good"}\n[1]\n{"text": null}\n')
    records = dict(read_file(path, "text"))
    assert sorted(records) == [1, 2, 4, 5, 6, 7]
    assert records[2].reason.startswith("not JSON (")
    assert [records[row] for row in (1, 4, 6)] == [
        Broken("no key 'text'"),
        Broken("'text' is not a text"),
        Broken("not an object but list"),
    ]
    assert (records[5], records[7]) == ("good", "")


@pytest.mark.parametrize("num_without", [1, 99])
def test_the_first_objects_may_lack_the_key_but_not_a_hundred_of_them(tmp_path, num_without):
    path = tmp_path / "data.jsonl"
    path.write_text('{"meta": 1}\n' * num_without + '{"text": "good"}\n' * 200)
    assert texts_of(path) == [Broken("no key 'text'")] * num_without + ["good"] * 200
    path.write_text('{"meta": 1}\n' * 100 + '{"text": "good"}\n' * 200)
    with pytest.raises(UserError, match=r"no column 'text' \(columns: meta\)"):
        texts_of(path)


@pytest.mark.parametrize("value", ["[" * 200_000, "9" * 5_000])
def test_json_that_python_cannot_hold_is_broken_on_a_line_and_refused_as_a_file(tmp_path, value):
    lines, array = tmp_path / "data.jsonl", tmp_path / "data.json"
    lines.write_text('{"text": "good"}\n{"text": ' + value + "}\n")
    good, bad = texts_of(lines)
    assert good == "good"
    assert bad.reason.startswith("not JSON (")
    array.write_text('[{"text": ' + value + "}]")
    with pytest.raises(UserError, match=r"data\.json: not JSON: "):
        texts_of(array)


def test_rows_with_too_few_fields_are_broken(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("id,text\n1,one\n2\n3,three\n")
    assert list(read_file(path, "text")) == [(2, "one"), (3, Broken("too few fields")), (4, "three")]


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "tsv", "parquet"])
def test_an_absent_column_is_answered_with_those_there_are(tmp_path, suffix):
    path = tmp_path / f"data.{suffix}"
    path.write_bytes(FORMATS[suffix](["one"]))
    with pytest.raises(UserError, match=rf"data\.{suffix}: no column 'txet', did you mean 'text'\? \(columns: .*text"):
        texts_of(path, "txet")


def test_a_byte_that_is_not_utf8_is_refused_in_the_first_megabyte(tmp_path):
    path = tmp_path / "data.txt"
    path.write_bytes(b"one\ntwo \x85 three\n")
    with pytest.raises(UserError, match=r"data\.txt: not UTF-8: byte 0x85 at offset 8 \(row 2\)"):
        texts_of(path)


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("picture.txt", PNG, r"a binary file \(NUL byte at offset 8\)"),
        (
            "source.tar.gz",
            gzip.compress(b"module.py" + bytes(91) + b"0000644"),
            r"a binary file \(NUL byte at offset 9\)",
        ),
        ("zeros", bytes(1000), r"a binary file \(NUL byte at offset 0\)"),
        ("unmarked.txt", "text".encode("utf-16-le"), r"a binary file \(NUL byte at offset 1\)"),
        ("marked.txt", b"\xff\xfe" + "text".encode("utf-16-le"), "not UTF-8 but UTF-16; .*iconv -f utf-16 "),
        ("marked.py", b"\xfe\xff" + "text".encode("utf-16-be"), "not UTF-8 but UTF-16; .*iconv -f utf-16 "),
        ("latin.txt", b"caf\xe9", "not UTF-8: .*iconv -f latin1 "),
    ],
)
def test_what_is_not_utf8_is_called_what_it_is(tmp_path, name, content, complaint):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: {complaint}"):
        texts_of(tmp_path / name)


def test_a_nul_byte_further_on_is_one_broken_record(tmp_path):
    path = tmp_path / "data.txt"
    path.write_bytes((b"x" * 1000 + b"\n") * 1100 + b"a\0b\n\nend\n")
    records = list(read_file(path, "text"))
    assert records[0] == (1101, Broken("holds a NUL byte"))
    assert records[-1] == (1103, "end")


def test_a_character_across_the_end_of_the_first_megabyte_is_whole(tmp_path):
    path = tmp_path / "data.txt"
    path.write_bytes(b"x" * ((1 << 20) - 1) + "\u00e9".encode())
    assert texts_of(path) == ["x" * ((1 << 20) - 1) + "\u00e9"]


@pytest.mark.parametrize("rows_behind", ["3,three\n4,four\n", '3,three\n4,"four"\n'])
def test_every_row_behind_a_quote_that_nothing_closes_is_broken(tmp_path, rows_behind):
    path = tmp_path / "data.csv"
    path.write_text('id,text\n1,one\n2,"two\n' + rows_behind)
    (first, *lost) = read_file(path, "text")
    assert first == (2, "one")
    assert [row for row, _ in lost] == [3, 4, 5]
    assert all(text.reason.startswith("not CSV (") for _, text in lost)


def test_a_table_of_one_line_for_an_old_mac_is_refused(tmp_path):
    (tmp_path / "mac.csv").write_bytes(b"id,text\r1,one\r2,two\r")
    with pytest.raises(UserError, match=r"mac\.csv: row 1 names no columns"):
        texts_of(tmp_path / "mac.csv")


def test_parquet_strings_that_are_not_utf8_are_broken_one_by_one_and_nulls_are_empty(tmp_path):
    offsets, letters = pa.py_buffer(np.array([0, 1, 5, 6], np.int32)), pa.py_buffer(b"acaf\xe9b")
    unchecked = pa.Array.from_buffers(pa.string(), 3, [None, offsets, letters])
    parquet.write_table(
        pa.table({"text": pa.chunked_array([unchecked, pa.array([None], pa.string())])}), tmp_path / "t.parquet"
    )
    assert texts_of(tmp_path / "t.parquet") == ["a", Broken("not UTF-8 (byte 0xe9)"), "b", ""]


def test_a_byte_that_is_not_utf8_further_on_is_one_broken_record(tmp_path):
    path = tmp_path / "data.jsonl"
    line = as_jsonl(["x" * 1000])
    path.write_bytes(line * 1100 + b'{"text": "caf\xe9"}\n' + line)
    records = list(read_file(path, "text"))
    assert records[1100] == (1101, Broken("not UTF-8 (byte 0xe9)"))
    assert sum(isinstance(text, str) for _, text in records) == 1101


def test_real_latin1_data_is_refused_by_name(real_data):
    with pytest.raises(UserError, match=r"rt-polarity\.all: not UTF-8: byte 0x"):
        texts_of(real_data("text_classification/rt-polarity.all"))


def test_real_web_pages_are_read(real_data):
    texts = texts_of(real_data("pretrain_jsonl/c4_demo.jsonl"))
    assert len(texts) == 300
    assert texts[0].startswith("Don\u2019t think you need all the bells")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.jsonl.gz", gzip.compress(as_jsonl(TEXTS))[:-20]),
        ("cut.jsonl.zst", zstandard.compress(as_jsonl(TEXTS))[:-20]),
        ("second.jsonl.zst", zstandard.compress(as_jsonl(TEXTS)) + zstandard.compress(as_jsonl(TEXTS))[:3]),
        ("wrong.jsonl.zst", b"not zstandard at all"),
        ("wrong.parquet", b"not parquet at all"),
        ("wrong.json", b'[{"text": "one"},'),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        texts_of(tmp_path / name)


def test_a_large_file_cut_in_half_is_refused_and_its_frames_are_read_whole(tmp_path):
    path = tmp_path / "pile.jsonl.zst"
    random = np.random.default_rng(0)
    texts = [random.bytes(200).hex() for _ in range(5_000)]
    half = len(texts) // 2
    frames = zstandard.compress(as_jsonl(texts[:half])) + zstandard.compress(as_jsonl(texts[half:]))
    path.write_bytes(frames)
    assert texts_of(path) == texts
    path.write_bytes(frames[: len(frames) // 4])
    with pytest.raises(UserError, match=r"pile\.jsonl\.zst: cannot be read: the file ends within a zstd frame"):
        texts_of(path)
