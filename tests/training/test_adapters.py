"""Adapters in the Trainer part: what is saved, what resumes, what is loaded as the best, and what trains."""

import json

import pytest
import torch
from peft import PeftModel
from transformers import GPT2Config, GPT2LMHeadModel

from hf_strategies.adapters import ADAPTERS
from hf_strategies.adapters.factory import create_adapter
from hf_strategies.adapters.linear_layers import layers_outside_blocks
from hf_strategies.adapters.quantization import BasePlan, quantization_config
from hf_strategies.checkpoints.manifest import FILE_NAME, damages
from hf_strategies.optimizers import OptimizerFactory
from hf_strategies.training import StrategyTrainer

RESUMED = [name for name in ADAPTERS.names() if name != "adalora"]  # whose own test resumes it with its callback


def build_lm() -> GPT2LMHeadModel:
    """Dropout 0.1, and room for tokens before a row's eight."""
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=32, n_positions=32))


@pytest.fixture
def train(numbered_rows, arguments):
    def run(name: str, *, resume=None, base=None, target_modules=None, param_groups=None, **changes):
        torch.manual_seed(0)
        model = create_adapter(name, base or build_lm(), task_type="CAUSAL_LM", target_modules=target_modules)
        groups = {**ADAPTERS[name].facts.get("param_groups", {}), **(param_groups or {})}
        trainer = StrategyTrainer(
            model,
            arguments(max_steps=6, save_steps=2, **changes),
            train_dataset=numbered_rows,
            eval_dataset=numbered_rows[:8],
            scheduler="linear",
            optimizer_cls_and_kwargs=(OptimizerFactory, {"name": "adamw", "lr": 1e-2, "param_groups": groups}),
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    return run


def trained(model: PeftModel) -> dict[str, torch.Tensor]:
    return {name: param.detach().clone() for name, param in model.named_parameters() if param.requires_grad}


@pytest.mark.parametrize("name", RESUMED)
def test_a_resumed_run_is_the_uninterrupted_one(name, train):
    straight = train(name)
    resumed = train(name, resume=f"{straight.args.output_dir}/checkpoint-2")
    expected = trained(straight.model)
    for full_name, weight in trained(resumed.model).items():
        torch.testing.assert_close(weight, expected[full_name], atol=1e-6, rtol=1e-6)


def test_a_checkpoint_holds_the_adapter_alone_and_is_proven(train, tmp_path):
    trainer = train("lora")
    folder = tmp_path / "out" / "checkpoint-4"
    assert (folder / "adapter_model.safetensors").is_file()
    assert not (folder / "model.safetensors").exists()
    assert (folder / FILE_NAME).is_file()
    assert damages(folder) == []
    trainer.save_model(tmp_path / "final")
    assert not (tmp_path / "final" / "model.safetensors").exists()
    assert json.loads((tmp_path / "final" / "adapter_config.json").read_text())["peft_type"] == "LORA"


@pytest.mark.parametrize("name", ["lora", "ia3", "pissa", "prompt_tuning", "prefix_tuning"])
def test_the_best_is_loaded_in_the_end(name, train):
    trainer = train(
        name, eval_strategy="steps", eval_steps=2, load_best_model_at_end=True, metric_for_best_model="eval_loss"
    )
    evaluated = {row["step"]: row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row}
    assert trainer.evaluate()["eval_loss"] == pytest.approx(min(evaluated.values()), abs=1e-6)


def test_recomputed_activations_train_as_kept_ones_do(train):
    """Where the embeddings are frozen, recomputing needs a way for gradients into the first block."""
    kept, recomputed = train("lora"), train("lora", gradient_checkpointing=True)
    for name, weight in trained(recomputed.model).items():
        torch.testing.assert_close(weight, trained(kept.model)[name])
    assert all(weight.abs().sum() > 0 for weight in trained(kept.model).values())


def test_adapters_join_block_by_block(train):
    trainer = train("lora", param_groups={"unfreeze_every": 3})
    steps = {
        name: trainer.optimizer.state[param]["step"].item()
        for name, param in trainer.model.named_parameters()
        if "lora_B" in name and param in trainer.optimizer.state
    }
    assert {count for name, count in steps.items() if ".h.1." in name} == {6}  # there is no head above it
    assert {count for name, count in steps.items() if ".h.0." in name} == {3}


def test_a_quantized_base_trains_evaluates_and_resumes(train, tmp_path):
    pytest.importorskip("bitsandbytes")
    model = build_lm()
    model.save_pretrained(tmp_path / "base")
    plan = BasePlan(device=torch.device("cpu"), compute_dtype=torch.float32, keep=layers_outside_blocks(model))

    def base():
        config = quantization_config("nf4", plan)
        return type(model).from_pretrained(tmp_path / "base", quantization_config=config, dtype=torch.float32)

    evaluation = {"eval_strategy": "steps", "eval_steps": 1}
    straight = train("lora", base=base(), **evaluation)
    resumed = train("lora", base=base(), resume=f"{straight.args.output_dir}/checkpoint-2", **evaluation)
    moved = {name: weight for name, weight in trained(straight.model).items() if "lora_B" in name}
    assert all(weight.abs().max() > 1e-3 for weight in moved.values())
    for name, weight in trained(resumed.model).items():
        torch.testing.assert_close(weight, trained(straight.model)[name], atol=1e-6, rtol=1e-6)
