"""Encoders and encoder-decoders from the script: they learn, resume to the last bit, and load as the host's own."""

import json
import math
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, AutoModelForSeq2SeqLM, AutoTokenizer, pipeline

from scripts.pretrain import main

SIZES = ["--hidden_size", "32", "--num_hidden_layers", "2", "--num_attention_heads", "2"]
BERT = ["--architecture", "bert", *SIZES, "--objective", "masked"]
T5 = ["--architecture", "t5", *SIZES, "--objective", "span"]
# Flags, the class that loads what comes of them, and its vocabulary: 256 bytes and the special tokens.
OBJECTIVES = {
    "masked": (BERT, AutoModelForMaskedLM, 260),
    "whole words": ([*BERT, "--objective_kwargs", "whole_words=true,rate=0.3"], AutoModelForMaskedLM, 260),
    "span": (T5, AutoModelForSeq2SeqLM, 358),
}


def logged(folder, name: str) -> list[float]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [row[name] for row in history if name in row]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_learns_and_what_it_leaves_is_the_hosts(pretrain, objective, capsys):
    flags, auto_class, vocabulary = OBJECTIVES[objective]
    results, folder = pretrain(*flags, "--max_steps", "24")
    losses = logged(folder, "loss")
    assert losses[0] == pytest.approx(math.log(vocabulary), abs=0.7)
    assert losses[-1] < losses[0] - 0.7
    assert results["perplexity"] == pytest.approx(math.exp(results["eval_loss"]), rel=0.02)
    assert "eval_bits_per_byte" not in results
    model, tokenizer = auto_class.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.get_input_embeddings().weight.shape == (len(tokenizer), 32) == (vocabulary, 32)
    said = capsys.readouterr().out
    assert "samples at step 24" in said
    assert ("<extra_id_0>" if objective == "span" else "[MASK]") in said


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_resumed_run_hides_what_the_uninterrupted_one_hides(pretrain, objective, capsys):
    flags, _, _ = OBJECTIVES[objective]
    dropout = "dropout_rate=0.1" if objective == "span" else "hidden_dropout_prob=0.1"
    flags = [*flags, "--max_train_samples", "40", "--config_overrides", dropout]  # 12 updates of 8: 2.4 epochs
    _, folder = pretrain(*flags)
    straight, losses = load_file(folder / "model.safetensors"), logged(folder, "loss")
    (folder / "all_results.json").unlink()
    shutil.rmtree(folder / "checkpoint-12")
    pretrain(*flags)
    assert f"resuming from {folder / 'checkpoint-6'}" in capsys.readouterr().out
    resumed = load_file(folder / "model.safetensors")
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    assert logged(folder, "loss") == losses


@pytest.mark.parametrize("flags", [BERT, T5], ids=["masked", "span"])
def test_an_update_in_parts_is_the_update_in_one(pretrain, flags):
    whole, parts = (
        pretrain(*flags, "--bf16", "false", "--per_device_train_batch_size", size, name=size)[1] for size in ("8", "2")
    )
    for name in ("loss", "grad_norm"):  # later on, what is left of rounding has grown
        assert logged(parts, name)[:4] == pytest.approx(logged(whole, name)[:4], rel=1e-3)


def test_runs_of_other_seeds_are_evaluated_on_the_same_gaps(pretrain):
    _, folder = pretrain(*BERT, "--max_steps", "4")
    flags = ["--model_name_or_path", str(folder), "--objective", "masked", "--do_eval", "--bf16", "false"]
    one, other = (pretrain(*flags, "--seed", seed, name=seed)[0] for seed in ("1", "2"))
    assert one["eval_loss"] == other["eval_loss"]


def test_a_checkpoint_is_continued_and_fills_masks_in_the_hosts_pipeline(pretrain):
    _, folder = pretrain(*BERT, "--tokenizer", "bpe", "--vocab_size", "300")
    flags = ["--model_name_or_path", str(folder), "--objective", "masked", "--max_steps", "2"]
    results, continued = pretrain(*flags, "--optim", "adamw_torch", "--learning_rate", "1e-5", name="continued")
    fill = pipeline("fill-mask", str(continued))
    assert {guess["token"] for guess in fill("Document 3 [MASK]: 3 times")} <= set(range(300))
    assert "pipeline('fill-mask', '" in (continued / "README.md").read_text()
    assert results["eval_loss"] == pytest.approx(logged(folder, "eval_loss")[-1], abs=0.05)


def test_label_smoothing_and_z_loss_go_with_an_encoder_decoder(pretrain):
    flags = [*T5, "--max_steps", "2", "--bf16", "false"]
    plain, smooth = (
        logged(pretrain(*flags, *more, name=name)[1], "loss")[0]
        for name, more in {"plain": [], "smooth": ["--label_smoothing_factor", "0.5", "--z_loss", "1e-2"]}.items()
    )
    # log Z is the loss and the logit of the target, which is small at first: its square is about that of log 358.
    assert smooth - plain == pytest.approx(1e-2 * math.log(358) ** 2, abs=0.15)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--objective", "masked"], "--objective: architecture transformer_pp learns by objective causal, got masked"),
        (["--architecture", "t5"], "--architecture: architecture t5 learns by objective span, got causal"),
        ([*BERT, "--objective_kwargs", "rates=0.3"], "objective masked has no setting 'rates', did you mean 'rate'?"),
        ([*T5, "--objective_kwargs", "rate=1.5"], "--objective_kwargs: rate must be a number in (0, 1), got 1.5"),
        (["--objective_kwargs", "rate=0.3"], "objective_kwargs belongs to objective, which this run does not set"),
        ([*BERT, "--isolate_documents"], "--isolate_documents: isolate_documents goes with objective causal alone"),
        (
            [*BERT, "--metric_for_best_model", "bits_per_byte"],
            "--metric_for_best_model: objective masked has no bits_per_byte",
        ),
        ([*T5, "--max_seq_length", "2"], "max_seq_length must be at least 3 for objective span, got 2"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_does_not_go_together_is_refused(refuse, corpus, flags, complaint):
    assert complaint in refuse("--train_file", str(corpus), *flags)


def test_a_stream_is_refused_before_it_is_opened(refuse):
    said = refuse(*BERT, "--streaming", "--train_file", "nowhere.jsonl")
    assert said == "error: --streaming: streaming goes with objective causal alone, not with masked"


def test_checkpoints_and_tokenizers_that_were_made_for_another_objective_are_refused(pretrain, refuse, corpus):
    _, folder = pretrain("--max_steps", "2")
    continued = ["--train_file", str(corpus), "--model_name_or_path", str(folder), "--objective", "masked"]
    assert "is a llama: a masked head needs an encoder, and this is a decoder (objective causal fits it)" in refuse(
        *continued
    )
    borrowed = ["--train_file", str(corpus), "--tokenizer_name", str(folder)]
    assert "objective masked needs a mask token, and the tokenizer" in refuse(*borrowed, *BERT)
    assert "objective span needs sentinels (<extra_id_0>, ...), and the tokenizer" in refuse(*borrowed, *T5)


def test_the_resolved_settings_hold_the_objective_and_rerun_it(pretrain, tmp_path):
    flags, _, _ = OBJECTIVES["whole words"]
    _, folder = pretrain(*flags, "--max_steps", "4")
    again = tmp_path / "again"
    main([str(folder / "resolved_config.yaml"), "--output_dir", str(again)])
    assert logged(again, "loss") == logged(folder, "loss")
