import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.planning.check_plan import check_run, describe_verdicts
from hf_strategies.runs.preflight import Verdict
from scripts.plan import main

TINY = ["--hidden_size", "32", "--num_hidden_layers", "2", "--num_attention_heads", "2", "--vocab_size", "128"]
TINY += ["--max_seq_length", "16", "--global_batch_size", "8", "--optimizer", "adamw"]


def check(*words: str) -> dict[str, Verdict]:
    arguments = parse_arguments([*TINY, *words], description="", default_recipe="pretrain")
    return {verdict.name: verdict for verdict in check_run(arguments)}


def test_every_side_of_a_run_is_looked_at_and_nothing_written(tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("word " * 12_800)  # 64 kB: 16,000 tokens of four bytes, 1,000 blocks
    folder = tmp_path / "runs" / "new"
    found = check("--train_file", str(corpus), "--max_steps", "1000", "--output_dir", str(folder))
    assert list(found) == ["batch", "length", "schedule", "rhythm", "groups", "sharding", "disk", "memory"]
    assert not any(verdict.is_error for verdict in found.values())
    assert found["length"].said == "1,000 updates, 8,000 samples, 128 k tokens, about 8 epochs"
    assert "at once" in found["memory"].said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.txt"]


def test_epochs_are_counted_in_updates_by_the_texts_size(tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("word " * 12_800)
    found = check("--train_file", str(corpus), "--num_train_epochs", "2")
    assert found["length"].said.startswith("250 updates")
    limited = check("--train_file", str(corpus), "--num_train_epochs", "2", "--max_train_samples", "80")
    assert limited["length"].said.startswith("20 updates")


def test_a_batch_that_does_not_divide_ends_the_looking():
    arguments = parse_arguments(
        ["--global_batch_size", "7", "--per_device_train_batch_size", "4"], description="", default_recipe="pretrain"
    )
    (only,) = check_run(arguments)
    assert only.is_error
    assert "is not a multiple of 4 per device" in only.said


def test_what_is_wrong_is_a_row_and_an_exit_code(capsys, monkeypatch):
    monkeypatch.setattr("hf_strategies.planning.check_plan.available_memory", lambda **_: 1000)
    with pytest.raises(SystemExit) as ended:
        main(["check", *TINY])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert "error    memory" in said.out
    assert said.err.splitlines() == ["error: 1 of 8 checks failed: memory"]


def test_verdicts_are_shown_in_full():
    long = "x" * 300
    assert describe_verdicts([Verdict("disk", long)]) == f"ok       disk      {long}"


def test_a_fine_tuning_run_is_looked_at_too(text_checkpoint):
    words = ["--task", "text-classification", "--model_name_or_path", text_checkpoint("bert"), "--max_steps", "50"]
    arguments = parse_arguments(words, description="", default_recipe="finetune", job="finetune", recipe_is_open=True)
    found = {verdict.name: verdict for verdict in check_run(arguments)}
    assert found["length"].said.startswith("50 updates, ")
    assert not any(verdict.is_error for verdict in found.values())


def test_a_run_that_only_evaluates_has_nothing_to_check(capsys):
    with pytest.raises(SystemExit):
        main(["check", "--do_eval"])
    assert "the run only evaluates: there is nothing to check before it" in capsys.readouterr().err


def test_help_shows_commands_that_work(capsys):
    main(["check", "--help"])
    assert "python scripts/plan.py check mine.yaml --max_steps 100000" in capsys.readouterr().out
