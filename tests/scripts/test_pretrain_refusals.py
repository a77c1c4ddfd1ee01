"""What a user can get wrong: one clear line each, exit code 2, nothing half-written."""

import json

import pytest

from scripts.pretrain import main


def test_files_that_are_no_text(refuse, tmp_path):
    empty, latin = tmp_path / "empty.txt", tmp_path / "latin.txt"
    empty.touch()
    latin.write_bytes("caf\xe9 au lait".encode("latin-1"))
    assert str(tmp_path / "nowhere.txt") in refuse("--train_file", str(tmp_path / "nowhere.txt"))
    assert f"{empty}" in refuse("--train_file", str(empty))
    assert f"{latin}" in refuse("--train_file", str(latin))


def test_a_real_file_in_another_encoding(refuse, real_data):
    path = real_data("text_classification/rt-polarity.all")
    said = refuse("--train_file", str(path))
    assert str(path) in said
    assert "UTF-8" in said


def test_a_column_that_is_not_there(refuse, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"txt": "a"}\n' * 10)
    assert "no column 'text', did you mean 'txt'?" in refuse("--train_file", str(path))


def test_too_many_broken_records(refuse, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps({"text": "good"}) + "\n" if n % 10 else "{bad\n" for n in range(200)))
    said = refuse("--train_file", str(path))
    assert "20 of 200 records are broken" in said
    assert f"{path}:1" in said


def test_a_validation_set_smaller_than_one_block(refuse, corpus, tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("short")
    said = refuse("--train_file", str(corpus), "--validation_file", str(path))
    assert "validation set smaller than one block: 7 tokens" in said  # five bytes and the ends around them


def test_a_block_longer_than_the_models_positions(refuse, corpus, real_data):
    checkpoint = str(real_data("stories260K"))
    said = refuse("--train_file", str(corpus), "--model_name_or_path", checkpoint, "--max_seq_length", "1024")
    assert "max_seq_length 1024 is longer than the 512 positions" in said


def test_a_tokenizer_larger_than_the_models_embedding(refuse, pretrain, corpus):
    _, small = pretrain("--tokenizer", "bytes", name="small")
    _, large = pretrain("--tokenizer", "bpe", "--vocab_size", "300", name="large")
    said = refuse("--train_file", str(corpus), "--model_name_or_path", str(small), "--tokenizer_name", str(large))
    assert "the tokenizer has 300 tokens, the embedding" in said


def test_a_batch_that_does_not_divide(refuse, corpus):
    assert "nearest: 8 or 16" in refuse("--train_file", str(corpus), "--global_batch_size", "12")


def test_a_folder_that_holds_another_run(refuse, pretrain, corpus):
    _, folder = pretrain(name="refused")
    before = sorted(path.name for path in folder.iterdir())
    assert "learning_rate: 0.012 there, 0.001 here" in refuse("--train_file", str(corpus), "--learning_rate", "1e-3")
    assert sorted(path.name for path in folder.iterdir()) == before


def test_an_attention_that_is_not_installed(refuse, corpus):
    said = refuse("--train_file", str(corpus), "--attn_implementation", "flash_attention_2")
    assert "flash_attention_2" in said
    assert "pip install flash-attn" in said


def test_an_override_that_makes_no_model(refuse, corpus):
    assert "relu6x" in refuse("--train_file", str(corpus), "--config_overrides", "hidden_act=relu6x")


def test_a_reporter_that_is_not_installed(refuse, corpus):
    assert "wandbb" in refuse("--train_file", str(corpus), "--report_to", "wandbb")


def test_a_hub_that_cannot_be_reached(refuse, corpus):
    assert refuse("--train_file", str(corpus), "--push_to_hub")


@pytest.mark.parametrize("name", ["no-such/checkpoint", "/no/such/folder"])
def test_a_checkpoint_that_is_not_there(refuse, corpus, name):
    assert f"model_name_or_path '{name}' cannot be read" in refuse(
        "--train_file", str(corpus), "--model_name_or_path", name
    )


def test_a_warmup_longer_than_a_run_that_is_counted_in_epochs(refuse, corpus):
    counted = ["--train_file", str(corpus), "--max_steps", "-1", "--num_train_epochs", "1", "--warmup_steps", "999"]
    for schedule in ([], ["--lr_scheduler_type", "cosine"]):
        assert "warmup_steps must be a whole number of updates in [0, " in refuse(*counted, *schedule)


def test_a_disk_that_cannot_be_written(tiny, corpus, tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(SystemExit) as ended:
        main([tiny, "--train_file", str(corpus), "--output_dir", str(blocked / "run")])
    assert ended.value.code == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_refused_run_leaves_nothing_behind(refuse, corpus, tmp_path):
    refuse("--train_file", str(tmp_path / "nowhere.txt"))
    refuse("--train_file", str(corpus), "--attn_implementation", "fast")
    assert not (tmp_path / "refused").exists()
