"""Who runs against whom, and that nobody is given what belongs to another."""

import os
import subprocess
from pathlib import Path

import pytest
import torch

from hf_strategies.optimizers import OPTIMIZERS
from hf_strategies.optimizers.shelf import OPTIMIZERS as SHELF
from scripts.benchmarks.training_runs.contenders import adamw, scale_rates, shipped, shipped_recipe, stock, torch_muon
from scripts.benchmarks.training_runs.torch_muon import TorchMuon, shelve
from scripts.benchmarks.training_runs.trial import SIZES, Trial, shape_of

ROOT = Path(__file__).parents[2]

# What is everyone's: model, tokenizer, data and batch.
SHARED = {
    "architecture", "tokenizer", "vocab_size", "max_seq_length", "global_batch_size", "per_device_train_batch_size",
    "per_device_eval_batch_size", "save_steps", "save_total_limit",
}  # fmt: skip
SCHEDULE = {"scheduler", "scheduler_kwargs", "warmup_steps", "weight_decay", "max_grad_norm"}


@pytest.fixture
def shelved():
    shelve()
    yield
    del SHELF._entries["torch_muon"]


def parse(settings: dict, size: str = "32x1"):
    given = {
        "contender": "x",
        "corpus": "standard_library",
        "updates": 4,
        "eval_every": 2,
        "eval_samples": 2,
        "seed": 0,
    }
    return Trial(**given, size=size, settings=settings).parse()


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [(stock(), SHARED), (adamw(2e-3), SHARED), (torch_muon(2e-3), SHARED | SCHEDULE)],
    ids=["stock", "adamw", "torch_muon"],
)
def test_a_peer_takes_nothing_from_the_shipped_recipe_but_what_is_everyones(shelved, settings, allowed):
    arguments = parse(settings)
    taken = {name for name, value in arguments.values.items() if value.where.startswith("recipe ")}
    assert taken <= allowed


def test_ours_is_the_shipped_recipe_in_everything_that_is_not_size_length_or_seed():
    arguments, recipe = parse(shipped()), shipped_recipe()
    assert arguments.strategy == recipe.strategy
    for name in ("learning_rate", "weight_decay", "warmup_steps", "max_grad_norm"):
        assert arguments.training[name] == recipe.training[name]


def test_stock_is_what_the_hosts_trainer_does_unasked():
    from transformers import TrainingArguments

    given, host = parse(stock()).training, TrainingArguments("unused", use_cpu=True)
    for name in ("learning_rate", "warmup_steps", "weight_decay", "max_grad_norm"):
        assert given[name] == getattr(host, name)
    assert (given["optim"], given["lr_scheduler_type"]) == (host.optim, host.lr_scheduler_type)


def test_every_rate_of_the_shipped_recipe_is_scaled_together():
    recipe, half = shipped_recipe(), parse(shipped(0.5))
    assert half.training["learning_rate"] == pytest.approx(0.5 * recipe.training["learning_rate"])
    own = {name: value for name, value in recipe.strategy.optimizer_kwargs.items() if name.endswith("_lr")}
    assert own
    for name, rate in own.items():
        assert half.strategy.optimizer_kwargs[name] == pytest.approx(0.5 * rate)
    rules = {"rules": [{"pattern": "head", "lr": 0.4}, {"pattern": "norm", "lr_scale": 3}], "layerwise_lr_decay": 0.8}
    assert scale_rates(rules, 0.5) == {**rules, "rules": [{"pattern": "head", "lr": 0.2}, rules["rules"][1]]}
    assert scale_rates({"adamw_lr": 0.2, "momentum": 0.9, "betas": [0.9, 0.95]}, 0.5) == {
        "adamw_lr": 0.1, "momentum": 0.9, "betas": [0.9, 0.95],
    }  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_a_size_has_about_the_parameters_that_it_is_named_for(name):
    from hf_strategies.models import resolve_sizes
    from hf_strategies.models.factory import count_parameters, create_config

    hidden_size, num_layers = shape_of(name)
    sizes, _ = resolve_sizes("transformer_pp", {"hidden_size": hidden_size, "num_hidden_layers": num_layers})
    vocab_size = shipped_recipe().model.vocab_size
    config = create_config("transformer_pp", vocab_size=vocab_size, max_seq_length=256, sizes=sizes)
    assert count_parameters(config, "causal") == pytest.approx(1e6 * int(name.removesuffix("M")), rel=0.15)


def some_groups() -> list[dict]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(6, 4), (4, 6), (5, 4), (4,)]
    params = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    for param in params:
        param.grad = torch.randn(param.shape, generator=generator)
    return [
        {"params": params[2:3], "matrix": False, "weight_decay": 0.1, "lr": 2e-3},
        {"params": params[:2], "matrix": True, "weight_decay": 0.1},
        {"params": params[3:], "matrix": False, "weight_decay": 0.0},
    ]


def test_torch_muon_steps_as_torchs_two_optimizers_side_by_side():
    groups, twins = some_groups(), some_groups()
    ours = TorchMuon(groups, lr=1e-3)
    muon = torch.optim.Muon(twins[1]["params"], lr=1e-3, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    rest = [{name: twin[name] for name in twin if name != "matrix"} for twin in (twins[0], twins[2])]
    adam = torch.optim.AdamW(rest, lr=1e-3, betas=(0.9, 0.95))
    for scale in (1.0, -3.0, 0.5):  # equal gradients would hide the betas
        for param in (param for group in (*groups, *twins) for param in group["params"]):
            param.grad *= scale
        for optimizer in (ours, muon, adam):
            optimizer.step()
    for group, twin in zip(groups, twins):
        for mine, theirs in zip(group["params"], twin["params"], strict=True):
            torch.testing.assert_close(mine, theirs)


def test_torch_muon_follows_its_schedule_after_its_state_was_loaded():
    groups = some_groups()
    optimizer = TorchMuon(groups, lr=1e-3)
    optimizer.load_state_dict(optimizer.state_dict())
    before = [param.detach().clone() for group in groups for param in group["params"]]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    optimizer.step()
    after = [param for group in groups for param in group["params"]]
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_torch_muon_trains_through_the_script_and_is_on_no_shelf(corpus, tiny, forked_python, tmp_path):
    assert "torch_muon" not in OPTIMIZERS
    script = ROOT / "scripts" / "benchmarks" / "training_runs" / "torch_muon.py"
    flags = ["--optimizer", "torch_muon", "--learning_rate", "8e-3", "--output_dir", str(tmp_path / "out")]
    done = subprocess.run(
        [forked_python, str(script), tiny, "--train_file", str(corpus), *flags],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "torch_muon at 0.008" in done.stdout
    assert (tmp_path / "out" / "all_results.json").exists()
