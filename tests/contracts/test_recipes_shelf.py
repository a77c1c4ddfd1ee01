"""Every shipped recipe trains: on a tiny model and a few rows, with all of its own settings but the length."""

import json
import math
import re

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from hf_strategies.arguments.layers import find_recipe, recipe_names
from hf_strategies.arguments.tuning_topics import FINETUNE, PRETRAIN
from hf_strategies.models import resolve_sizes
from hf_strategies.models.factory import create_config, create_model
from scripts.finetune import main as finetune
from scripts.pretrain import main as pretrain

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXTS, ANSWERS, PAIRS, IMAGES, DIGITS = "texts", "answers", "pairs", "images", "digits"
BARE_TEXTS, CLIPS = "texts without a checkpoint", "clips"


def own_recipes(job: str) -> list[str]:
    """List the recipes that are not a paper's, which a test of their own shrinks first."""
    return [name for name in recipe_names(job) if "ecalled" not in find_recipe(name, job).read_text()]


# What each recipe of fine-tuning is tried on, and what it must say of itself before it trains.
TUNED = {
    "finetune": (TEXTS, r"adamw"),
    "full": (TEXTS, r"\(100\.0%\)"),
    "small_data": (TEXTS, r"\(100\.0%\)"),
    "ulmfit": (TEXTS, r"unfreezing at step 6: "),
    "layerwise_decay": (TEXTS, r"0\.00081 to 0\.0009"),
    "lora": (TEXTS, r"of [\d.]+ k parameters learn"),
    "qlora": (TEXTS, r"of [\d.]+ k parameters learn"),
    "linear_probe": (TEXTS, r"frozen: all but .*classifier"),
    "instruct": (ANSWERS, r"\(100\.0%\)"),
    "seq2seq": (PAIRS, r"\(100\.0%\)"),
    "vit_finetune": (IMAGES, r"\(100\.0%\)"),
    "from_scratch": (DIGITS, r"random weights"),
    "text_from_scratch": (BARE_TEXTS, r"tokenizer was trained on the rows"),
    "clips_from_scratch": (CLIPS, r"random weights"),
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_STRATEGIES_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def task_flags(tmp_path, text_checkpoint):
    """Return the flags of a task on rows and a checkpoint that are made for it."""

    def make(kind: str) -> list[str]:
        rows = tmp_path / "rows.jsonl"
        if kind == CLIPS:
            shades = np.linspace(0, 1, 32, dtype=np.float32)
            clips = np.tile(shades[:, None, None, None, None], (1, 1, 4, 8, 8))
            np.savez(tmp_path / "clips.npz", clips=clips, labels=np.arange(32) // 16)
            return ["--task", "clip-classification", "--train_file", str(tmp_path / "clips.npz")]
        if kind in (TEXTS, BARE_TEXTS):
            lines = [{"text": f"it was {word} {n}", "label": word} for n in range(16) for word in ("good", "bad")]
            checkpoint = ["--model_name_or_path", text_checkpoint("bert")] if kind == TEXTS else []
            task = ["text-classification", *checkpoint]
        elif kind == ANSWERS:
            lines = [{"instruction": f"count to {n}", "input": "", "output": " 1 2 3"} for n in range(32)]
            task = ["causal-lm", "--model_name_or_path", text_checkpoint("gpt2"), "--max_seq_length", "128"]
        elif kind == PAIRS:
            lines = [{"text": f"the number {n}", "label": str(n)} for n in range(32)]
            task = ["seq2seq", "--model_name_or_path", text_checkpoint("t5"), "--max_target_length", "8"]
        else:
            pytest.importorskip("kornia", reason="images are changed by kornia")
            few = ["--max_train_samples", "32", "--max_eval_samples", "16"]
            return ["--task", "image-classification", *few, *(vit_checkpoint() if kind == IMAGES else sizes(SIZES))]
        rows.write_text("\n".join(map(json.dumps, lines)))
        return ["--task", *task, "--train_file", str(rows)]

    def vit_checkpoint() -> list[str]:
        resolved, _ = resolve_sizes("vit", SIZES)
        config = create_config("vit", sizes=resolved, image_size=8, num_channels=1)
        torch.manual_seed(0)
        create_model(config, head="image-classification").save_pretrained(tmp_path / "vit")
        return ["--model_name_or_path", str(tmp_path / "vit")]

    return make


def sizes(given: dict[str, int]) -> list[str]:
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def losses(folder) -> list[float]:
    return [
        row["loss"] for row in json.loads((folder / "trainer_state.json").read_text())["log_history"] if "loss" in row
    ]


@pytest.mark.parametrize("recipe", own_recipes(FINETUNE))
def test_a_recipe_of_fine_tuning_trains(recipe, task_flags, tmp_path, capsys):
    kind, said = TUNED[recipe]
    if recipe == "qlora":
        pytest.importorskip("bitsandbytes", reason="4 bits need bitsandbytes")
    folder = tmp_path / "out"
    length = ["--num_train_epochs", "3", "--per_device_train_batch_size", "8", "--logging_steps", "1"]
    results = finetune([recipe, *task_flags(kind), *length, "--output_dir", str(folder)])
    shown = capsys.readouterr().out
    assert re.search(said, shown), shown
    assert math.isfinite(results["eval_loss"])
    assert len(losses(folder)) >= 6
    assert all(map(math.isfinite, losses(folder)))
    assert f"recipe: {recipe}\n" in (folder / "resolved_config.yaml").read_text()


@pytest.mark.parametrize("recipe", own_recipes(PRETRAIN))
def test_a_recipe_of_pretraining_trains(recipe, tmp_path):
    corpus, folder = tmp_path / "corpus.txt", tmp_path / "out"
    documents = [f"Document {n}: " + " ".join(f"{n} + {k} = {n + k}." for k in range(60)) for n in range(60)]
    corpus.write_text("\n\n".join(documents))
    length = ["--max_steps", "4", "--logging_steps", "1", "--num_completions", "0"]
    results = pretrain([recipe, "--train_file", str(corpus), *sizes(SIZES), *length, "--output_dir", str(folder)])
    assert math.isfinite(results["eval_loss"])
    assert losses(folder)[-1] < losses(folder)[0]
    assert f"recipe: {recipe}\n" in (folder / "resolved_config.yaml").read_text()
    assert len(AutoTokenizer.from_pretrained(folder)) > 256
