"""Every recipe of a paper says where it is from, has the paper's numbers, and trains when it is made small."""

import math
import re

import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.batch import tokens_per_update
from hf_strategies.arguments.layers import find_recipe, recipe_names
from hf_strategies.arguments.tuning_topics import FINETUNE, PRETRAIN
from scripts.finetune import main as finetune
from scripts.pretrain import main as pretrain

# Peak rate; rise, in updates, tokens or a share of the run; tokens (images) of an update; those of the run; betas, or
# None where there are none; decay; clipping. From the papers' tables, apart from the recipes.
PAPERS = {
    "attention_is_all_you_need": (512**-0.5 * 4000**-0.5, 4000, 25_000, 2.5e9, (0.9, 0.98), 0, 0),
    "bert_base": (1e-4, 10_000, 256 * 512, 1e6 * 256 * 512, (0.9, 0.999), 0.01, 1),
    "roberta_base": (6e-4, 24_000, 8192 * 512, 5e5 * 8192 * 512, (0.9, 0.98), 0.01, 0),
    "bert_large_lamb": (5 / 2**0 / 1000, 1 / 5, 32_768 * 512, 15_625 * 32_768 * 512, (0.9, 0.999), 0.01, 1),
    "gpt3_125m": (6e-4, "375M tokens", 0.5e6, 300e9, (0.9, 0.95), 0.1, 1),
    "gpt3_350m": (3e-4, "375M tokens", 0.5e6, 300e9, (0.9, 0.95), 0.1, 1),
    "gpt3_760m": (2.5e-4, "375M tokens", 0.5e6, 300e9, (0.9, 0.95), 0.1, 1),
    "gpt3_1b3": (2e-4, "375M tokens", 1e6, 300e9, (0.9, 0.95), 0.1, 1),
    "chinchilla": (1e-4, 1500, 1.5e6, 1.4e12, (0.9, 0.95), 0.1, 1),
    "llama_7b": (3e-4, 2000, 4e6, 1e12, (0.9, 0.95), 0.1, 1),
    "minicpm_wsd": (0.01 * 256 / 2304, 0.01, 3.93e6, 1.1e12, (0.9, 0.95), 0.1, 1),
    "transformer_pp_125m": (5 * 6e-4, 0.1, 0.5e6, 4800 * 2**19, (0.9, 0.95), 0.1, 1),
    "transformer_pp_350m": (5 * 3e-4, 0.1, 0.5e6, 13_500 * 2**19, (0.9, 0.95), 0.1, 1),
    "transformer_pp_760m": (5 * 2.5e-4, 0.1, 0.5e6, 29_000 * 2**19, (0.9, 0.95), 0.1, 1),
    "transformer_pp_1b3": (5 * 2e-4, 0.1, 0.5e6, 50_000 * 2**19, (0.9, 0.95), 0.1, 1),
    "mamba_125m": (5 * 6e-4, 0.1, 0.5e6, 4800 * 2**19, (0.9, 0.95), 0.1, 1),
    "mamba_350m": (5 * 3e-4, 0.1, 0.5e6, 13_500 * 2**19, (0.9, 0.95), 0.1, 1),
    "mamba_760m": (5 * 2.5e-4, 0.1, 0.5e6, 29_000 * 2**19, (0.9, 0.95), 0.1, 1),
    "mamba_1b3": (5 * 2e-4, 0.1, 0.5e6, 50_000 * 2**19, (0.9, 0.95), 0.1, 1),
    "rwkv": (6e-4, 0, 128 * 1024, 331e9, (0.9, 0.99), 0, 1),
    "t5_small": (1e-2, 10_000, 2**20, 1e6 * 2**20, None, 0, 0),
    "hyena_dna": (6e-4, 0.01, 256 * 1024, 100 * 34_021 * 1024, (0.9, 0.999), 0.1, 1),
    "vit_b16_imagenet21k": (1e-3, 10_000, 4096, 90 * 14.2e6, (0.9, 0.999), 0.03, 1),
    "vit_b16_imagenet": (3e-3, 10_000, 4096, 300 * 1.28e6, (0.9, 0.999), 0.3, 1),
}
# The last rate over the peak, where it is not 0.
FLOORS = {
    "gpt3": 0.1, "chinchilla": 0.1, "llama": 0.1, "hyena": 0.1,
    **{f"{name}_{size}": 1e-5 / rate for name in ("mamba", "transformer_pp") for size, rate in (
        ("125m", 3e-3), ("350m", 1.5e-3), ("760m", 1.25e-3), ("1b3", 1e-3),
    )},
}  # fmt: skip


def job_of(recipe: str) -> str:
    return FINETUNE if recipe in recipe_names(FINETUNE) else PRETRAIN


def parse(recipe: str):
    return parse_arguments([recipe], description="", default_recipe=job_of(recipe), job=job_of(recipe))


def test_the_table_has_every_recipe_of_a_paper():
    shipped = [name for job in (PRETRAIN, FINETUNE) for name in recipe_names(job)]
    assert set(PAPERS) == {name for name in shipped if "ecalled" in find_recipe(name, job_of(name)).read_text()}


@pytest.mark.parametrize("recipe", PAPERS)
def test_a_recipe_says_where_it_is_from_and_what_was_not_checked(recipe):
    header = re.split(r"\n(?!#)", find_recipe(recipe, job_of(recipe)).read_text())[0]
    assert re.search(
        r"Source: .*\d{4}, https://arxiv\.org/abs/\d{4}\.\d{5}[:,]\n?.* (table|section|appendix) ", header, re.DOTALL
    )
    assert re.search(r"^# (Checked|Recalled)", header, re.MULTILINE)


@pytest.mark.parametrize("recipe", PAPERS)
def test_a_recipe_has_the_numbers_of_its_paper(recipe):
    rate, rise, batch, length, betas, decay, clipping = PAPERS[recipe]
    read = parse(recipe)
    strategy, training = read.strategy, read.training
    shape = strategy.scheduler_kwargs or {}
    phase = shape.get("phases", [{}])[0]
    per_update = tokens_per_update(read.values) if job_of(recipe) == PRETRAIN else int(strategy.global_batch_size)
    assert training["learning_rate"] == pytest.approx(rate, rel=1e-3)
    warmups = (training.get("warmup_steps"), phase.get("num_warmup_steps"), shape.get("num_rise_steps"))
    assert next(filter(None, warmups), 0) == rise
    assert per_update == pytest.approx(batch, rel=0.05)  # 0.5M may be 2^19
    assert training["max_steps"] * per_update == pytest.approx(length, rel=0.025)
    assert (strategy.optimizer_kwargs or {}).get("betas") == (betas and list(betas))
    assert training["weight_decay"] == decay
    assert training["max_grad_norm"] == clipping
    floor = next((value for name, value in FLOORS.items() if recipe.startswith(name)), 0)
    assert shape.get("min_lr_ratio", phase.get("min_lr_ratio", 0)) == pytest.approx(floor, rel=0.02)


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_STRATEGIES_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "corpus.txt"
    path.write_text(
        "\n\n".join(f"Document {n}: " + " ".join(f"{n} + {k} = {n + k}." for k in range(40)) for n in range(60))
    )
    return path


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">chr1\n" + "ACGTTGCAGATTACA" * 600 + "\n")
    return path


SHORT = ["--max_steps", "3", "--logging_steps", "1", "--eval_strategy", "no", "--save_strategy", "no"]


@pytest.mark.parametrize("recipe", [name for name in PAPERS if job_of(name) == PRETRAIN])
def test_a_recipe_of_pretraining_trains_when_it_is_small(recipe, corpus, genome, tmp_path, capsys):
    is_dna = recipe == "hyena_dna"
    target, text, vocabulary = ("150K", genome, []) if is_dna else ("500K", corpus, ["--vocab_size", "512"])
    small = ["--global_batch_size", "8", "--max_seq_length", "64", "--max_eval_samples", "8", "--num_completions", "0"]
    words = ["--scale_to", target, *vocabulary, *small, *SHORT, "--train_file", str(text)]
    results = pretrain([recipe, *words, "--output_dir", str(tmp_path / "out")])
    shown = capsys.readouterr().out
    (parameters,) = re.findall(r"^model .*?([\d,]+) parameters", shown, re.MULTILINE)
    assert int(parameters.replace(",", "")) == pytest.approx(int(target[:-1]) * 1000, rel=0.5)
    assert f"note      scale_to {target}: hidden_size" in shown
    assert results["eval_loss"] < results["train_loss"] + 0.5  # alike text, and one and the same loss


@pytest.mark.parametrize("recipe", [name for name in PAPERS if job_of(name) == FINETUNE])
def test_a_recipe_of_fine_tuning_trains_when_it_is_small(recipe, tmp_path, capsys):
    pytest.importorskip("kornia", reason="images are changed by kornia")
    images = ["--image_size", "16", "--patch_size", "4", "--max_train_samples", "64", "--max_eval_samples", "32"]
    words = ["--scale_to", "400K", "--global_batch_size", "16", *images, *SHORT, "--load_best_model_at_end", "false"]
    results = finetune([recipe, *words, "--output_dir", str(tmp_path / "out")])
    assert "scale_to 400K: hidden_size 768 -> 128" in capsys.readouterr().out
    assert math.isfinite(results["eval_loss"])
