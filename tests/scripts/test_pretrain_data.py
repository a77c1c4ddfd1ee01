"""Every shape of data that the script takes, through the script."""

import gzip
import json
import math

import datasets
import pytest
import zstandard

from hf_strategies.data.split import is_validation

TEXTS = [f"Text {n}: " + " ".join(str(n * k) for k in range(30)) for n in range(60)]


def rows() -> list[dict]:
    return [{"text": text, "meta": {"pile_set_name": "Test"}} for text in TEXTS]


def write(path, suffix: str):
    lines = "".join(json.dumps(row) + "\n" for row in rows()).encode()
    if suffix == ".jsonl.zst":
        path.write_bytes(zstandard.compress(lines))
    elif suffix == ".jsonl.gz":
        path.write_bytes(gzip.compress(lines))
    elif suffix == ".parquet":
        datasets.Dataset.from_dict({"text": TEXTS}).to_parquet(path)
    elif suffix == ".csv":
        datasets.Dataset.from_dict({"text": TEXTS}).to_csv(path)
    else:
        path.write_text("\n\n".join(TEXTS))
    return path


@pytest.mark.parametrize("suffix", [".txt", ".jsonl.zst", ".jsonl.gz", ".csv", ".parquet"])
def test_the_same_text_in_any_format_is_the_same_data(pretrain, tmp_path, suffix, capsys):
    pretrain("--max_steps", "2", "--eval_steps", "2", train_file=write(tmp_path / f"data{suffix}", suffix))
    held_out = sum(is_validation(text, 0.2) for text in TEXTS)
    said = capsys.readouterr().out
    assert (
        f"train: {60 - held_out} documents, {sum(len(t) for t in TEXTS if not is_validation(t, 0.2)):,} bytes" in said
    )


def test_a_local_data_set_and_its_own_validation_split(pretrain, tmp_path, tiny, capsys):
    from scripts.pretrain import main

    parts = {"train": TEXTS[:40], "validation": TEXTS[40:]}
    whole = datasets.DatasetDict({name: datasets.Dataset.from_dict({"text": part}) for name, part in parts.items()})
    whole.save_to_disk(tmp_path / "set")
    main([tiny, "--dataset_name", str(tmp_path / "set"), "--output_dir", str(tmp_path / "out"), "--max_steps", "2"])
    said = capsys.readouterr().out
    assert "train: 40 documents" in said
    assert "validation: 20 documents" in said


def test_streaming_trains_on_what_the_files_hold_in_their_order(pretrain, tmp_path):
    path = write(tmp_path / "data.jsonl.zst", ".jsonl.zst")
    results, _ = pretrain("--streaming", "--max_steps", "12", train_file=path)
    assert results["eval_loss"] < math.log(257)


@pytest.mark.parametrize("streaming", [[], ["--streaming", "--max_eval_samples", "200"]], ids=["at once", "streamed"])
def test_one_broken_line_in_a_thousand_is_skipped_counted_and_said(pretrain, tmp_path, capsys, streaming):
    lines = [json.dumps({"text": f"line {n} of a thousand"}) for n in range(1000)]
    lines[9] = '{"text": "torn'
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(lines))
    _, folder = pretrain("--max_steps", "2", "--eval_steps", "2", *streaming, train_file=path)
    assert f"{path}:10 " in capsys.readouterr().out
    assert "skipped 1 broken of" in (folder / "report.html").read_text()


def test_a_second_run_reads_the_cache(pretrain, tmp_path, capsys):
    path = tmp_path / "data.txt"
    path.write_text("\n\n".join(f"Only here: {text}" for text in TEXTS))
    pretrain("--max_steps", "2", name="first", train_file=path)
    assert "tokenized in" in capsys.readouterr().out
    pretrain("--max_steps", "2", name="second", train_file=path)
    assert "read from the cache" in capsys.readouterr().out
