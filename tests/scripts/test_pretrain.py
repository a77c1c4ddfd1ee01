"""The script as its users run it: real files, real processes, effects instead of the absence of a crash."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

from hf_strategies.schedulers import schedule_curve
from scripts.pretrain import main

ROOT = Path(__file__).parents[2]
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1", "--quiet"]


def logged(folder: Path, name: str) -> list[float]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [row[name] for row in history if name in row]


def test_a_finished_folder_holds_what_was_promised(pretrain):
    results, folder = pretrain()
    for name in (
        "model.safetensors", "config.json", "tokenizer.json", "trainer_state.json", "all_results.json",
        "events.jsonl", "loss.png", "report.html", "README.md", "resolved_config.yaml", "checkpoint-12",
    ):  # fmt: skip
        assert (folder / name).exists(), name
    assert results == json.loads((folder / "all_results.json").read_text())
    for name in ("eval_loss", "eval_bits_per_byte", "perplexity", "train_tokens_per_second"):
        assert math.isfinite(results[name])


def test_the_loss_falls_and_the_rate_follows_its_schedule(pretrain):
    _, folder = pretrain("--learning_rate", "1e-2", "--max_steps", "20", "--scheduler_kwargs", "min_lr_ratio=0.1")
    losses = logged(folder, "loss")
    assert losses[0] == pytest.approx(math.log(257), rel=0.02)  # 256 bytes and an end: an untrained guess
    assert losses[-1] < losses[0] - 1.0
    curve = schedule_curve("linear", num_training_steps=20, num_warmup_steps=0.25, min_lr_ratio=0.1)
    assert logged(folder, "learning_rate") == pytest.approx([1e-2 * curve(step) for step in range(20)])


def test_bits_per_byte_are_the_loss_in_other_units_when_tokens_are_bytes(pretrain):
    # One token per byte, and one end token per document beside them: a little more nats than bytes' own.
    results, _ = pretrain("--max_eval_samples", "1000")
    bits = results["eval_loss"] / math.log(2)
    assert bits < results["eval_bits_per_byte"] < 1.02 * bits
    assert results["perplexity"] == pytest.approx(math.exp(results["eval_loss"]), rel=0.02)


def test_the_result_is_used_by_its_path(pretrain):
    _, folder = pretrain()
    generate = pipeline("text-generation", str(folder))
    assert generate("Document", max_new_tokens=4)[0]["generated_text"].startswith("Document")


def test_the_resolved_config_reruns_the_run_to_the_last_bit(pretrain, tmp_path):
    _, folder = pretrain()
    again = tmp_path / "again"
    main([str(folder / "resolved_config.yaml"), "--output_dir", str(again)])
    first, second = (load_file(path / "model.safetensors") for path in (folder, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_finished_run_answers_at_once_and_changes_nothing(pretrain, capsys):
    results, folder = pretrain()
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    capsys.readouterr()
    again, _ = pretrain()
    assert again == results
    assert "holds this run, finished" in capsys.readouterr().out
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_killed_run_resumes_by_itself_and_ends_as_if_nothing_had_happened(pretrain, corpus, tiny, tmp_path):
    flags = [tiny, "--train_file", str(corpus), "--config_overrides", "attention_dropout=0.1"]
    _, straight = pretrain("--config_overrides", "attention_dropout=0.1", name="straight")
    killed = tmp_path / "killed"
    command = [*LAUNCH, "scripts/pretrain.py", *flags, "--output_dir", str(killed)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in process.stdout:
        if line.lstrip().startswith("8/12"):  # past the checkpoint of step 6
            os.killpg(process.pid, 9)
    process.wait()
    assert not (killed / "all_results.json").exists()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert "resuming from" in done.stdout
    first, second = (load_file(path / "model.safetensors") for path in (straight, killed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert logged(killed, "loss") == logged(straight, "loss")


def test_a_run_that_ended_before_its_report_is_finished_without_another_update(pretrain):
    flags = ["--scheduler", "constant", "--learning_rate", "1e-3"]  # linear's last rate of 0 would hide an update
    _, folder = pretrain(*flags)
    before = load_file(folder / "model.safetensors")
    (folder / "all_results.json").unlink()
    results, _ = pretrain(*flags)
    after = load_file(folder / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert {"eval_loss", "perplexity", "train_tokens_per_second"} <= results.keys()
    assert (folder / "checkpoint-12").exists()
    assert not (folder / "checkpoint-13").exists()


def test_two_processes_train_the_same_model_as_one(pretrain, corpus, tiny, forked_python, tmp_path):
    alone, folder = pretrain("--bf16", "false")
    together = tmp_path / "together"
    command = [forked_python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    flags = [tiny, "--train_file", str(corpus), "--bf16", "false", "--per_device_train_batch_size", "4"]
    done = subprocess.run(
        [*command, "scripts/pretrain.py", *flags, "--output_dir", str(together)],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "8 sequences x 32 = 256 tokens per update (micro-batch 4 x accumulation 1 x 2 replicas)" in done.stdout
    assert done.stdout.count("output    ") == 1
    assert logged(together, "loss") == pytest.approx(logged(folder, "loss"), rel=1e-4)
    results = json.loads((together / "all_results.json").read_text())
    assert results["eval_bits_per_byte"] == pytest.approx(alone["eval_bits_per_byte"], rel=1e-4)


def test_an_embedding_may_be_larger_than_the_vocabulary(pretrain):
    _, folder = pretrain("--vocab_size", "320", name="first")
    assert AutoModelForCausalLM.from_pretrained(folder).get_input_embeddings().weight.shape[0] == 320
    _, continued = pretrain("--model_name_or_path", str(folder), "--config_overrides", "attention_dropout=0.5")
    config = AutoModelForCausalLM.from_pretrained(continued).config
    assert (config.vocab_size, config.attention_dropout) == (320, 0.5)


def test_evaluation_without_training(pretrain):
    trained, folder = pretrain("--max_eval_samples", "1000")
    flags = ["--model_name_or_path", str(folder), "--max_eval_samples", "1000"]
    results, evaluated = pretrain("--do_eval", *flags, name="evaluated")
    assert results["eval_bits_per_byte"] == pytest.approx(trained["eval_bits_per_byte"], rel=1e-4)
    assert not (evaluated / "model.safetensors").exists()


def test_evaluation_on_files_of_its_own(pretrain, corpus, tiny, tmp_path):
    _, folder = pretrain("--max_steps", "2")
    flags = ["--model_name_or_path", str(folder), "--do_eval", "--validation_file", str(corpus)]
    results = main([tiny, *flags, "--output_dir", str(tmp_path / "evaluated")])
    assert results["eval_loss"] > 0


def test_gpt2_trains_and_says_which_size_it_does_not_have(pretrain, capsys):
    _, folder = pretrain("--architecture", "gpt2", "--num_key_value_heads", "1")
    assert "num_key_value_heads is unused: gpt2 has no such size" in capsys.readouterr().out
    assert type(AutoModelForCausalLM.from_pretrained(folder)).__name__ == "GPT2LMHeadModel"


def test_a_choice_that_replaces_the_recipes_is_said(pretrain, capsys):
    _, folder = pretrain("--optim", "adamw_torch", "--lr_scheduler_type", "cosine", "--learning_rate", "1e-3")
    said = capsys.readouterr().out
    assert "note      optim (--optim) replaces optimizer (recipe pretrain:" in said
    assert "adamw_torch at 0.001, weight decay 0.1, cosine after 3 warmup" in said
    cosine = [0.5 * (1 + math.cos(math.pi * step / 9)) for step in range(9)]
    assert logged(folder, "learning_rate")[3:] == pytest.approx([1e-3 * factor for factor in cosine])


@pytest.mark.parametrize(
    "flags",
    [
        ["--gradient_checkpointing", "--bf16", "false"],
        ["--isolate_documents", "--attn_implementation", "eager"],
        ["--optimizer", "lion", "--learning_rate", "1e-3", "--scheduler", "constant"],
        ["--optimizer", "adamw", "--optimizer_kwargs", "betas=[0.9, 0.99]", "--scheduler", "warmup_stable_decay",
         "--scheduler_kwargs", "num_decay_steps=0.5"],
        ["--max_steps", "-1", "--num_train_epochs", "0.2", "--eval_strategy", "epoch", "--save_strategy", "epoch"],
        ["--dataloader_num_workers", "1", "--global_batch_size", "none", "--gradient_accumulation_steps", "2"],
    ],
    ids=lambda flags: flags[0],
)  # fmt: skip
def test_what_training_arguments_and_the_shelves_offer_works_together(pretrain, flags):
    results, _ = pretrain(*flags)
    assert results["eval_loss"] < math.log(257)


def test_a_real_checkpoint_goes_on_learning_from_real_text(pretrain, real_data):
    text = real_data("tinyshakespeare/input.txt")
    _, folder = pretrain(
        "--model_name_or_path", str(real_data("stories260K")), "--max_seq_length", "128", "--max_steps", "30",
        "--learning_rate", "1e-3", "--eval_on_start", "--max_eval_samples", "32", train_file=text,
    )  # fmt: skip
    before, *_, after = logged(folder, "eval_loss")
    assert after < before - 0.3
    assert len(AutoTokenizer.from_pretrained(folder)) == 512
