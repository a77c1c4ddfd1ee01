"""Quantized bases on a CPU, where bitsandbytes runs too."""

import sys

import pytest
import torch

from hf_strategies.adapters import QUANTIZATIONS, check_quantization
from hf_strategies.adapters.factory import create_adapter
from hf_strategies.adapters.linear_layers import layers_outside_blocks
from hf_strategies.adapters.merging import merge_adapter
from hf_strategies.adapters.quantization import (
    BasePlan,
    quantization_config,
    quantization_of,
)
from hf_strategies.errors import MissingPackageError, UserError

CPU = torch.device("cpu")
IN_BITS = ["int8", "nf4"]


@pytest.fixture
def quantized(tiny_model, tmp_path):
    """Load a tiny model with its blocks quantized."""
    pytest.importorskip("bitsandbytes")

    def load(name: str, architecture: str):
        model = tiny_model(architecture)
        model.save_pretrained(tmp_path / architecture)
        plan = BasePlan(device=CPU, compute_dtype=torch.float32, keep=layers_outside_blocks(model))
        return type(model).from_pretrained(
            tmp_path / architecture, quantization_config=quantization_config(name, plan), dtype=torch.float32
        )

    return load


def gradients(model, batch) -> dict[str, float]:
    model.train()
    model.zero_grad()
    model(**batch).loss.backward()
    trained = {name: param for name, param in model.named_parameters() if param.requires_grad}
    return {name: 0.0 if param.grad is None else param.grad.abs().sum().item() for name, param in trained.items()}


def move(model) -> None:
    """Change every trained weight a little, so that the adapter does something."""
    generator = torch.Generator().manual_seed(2)
    for param in model.parameters():
        if param.requires_grad:
            param.data += 0.05 * torch.randn(param.shape, generator=generator)


@torch.no_grad()
def logits(model, batch) -> torch.Tensor:
    return model.eval()(**batch).logits


@pytest.mark.parametrize("name", IN_BITS)
@pytest.mark.parametrize("architecture", ["llama", "bert", "t5", "vit", "gpt2"])
def test_blocks_are_quantized_and_what_will_be_trained_is_not(name, architecture, quantized):
    model = quantized(name, architecture)
    assert quantization_of(model) == name
    in_bits = {full for full, param in model.named_parameters() if not param.is_floating_point()}
    outside = layers_outside_blocks(model)
    assert in_bits
    assert not any(full.startswith(tuple(f"{layer}." for layer in outside)) for full in in_bits)


@pytest.mark.parametrize("name", IN_BITS)
def test_adapters_still_learn_after_an_evaluation(name, quantized, tiny_batch):
    """A CPU with bf16 instructions would repack 4-bit weights into a layout that has no gradients."""
    model = create_adapter("lora", quantized(name, "llama"), task_type="CAUSAL_LM")
    move(model)
    before = gradients(model, tiny_batch("llama"))
    logits(model, tiny_batch("llama"))
    after = gradients(model, tiny_batch("llama"))
    assert all(before.values())
    assert after == pytest.approx(before)


def test_weights_that_were_packed_for_evaluation_are_refused(quantized, tiny_batch):
    model = quantized("nf4", "llama")
    model.model.layers[0].mlp.up_proj.weight.quant_state.packing_format_for_cpu = True  # as bitsandbytes marks it
    with pytest.raises(UserError, match="4-bit weights were packed for evaluation on this CPU"):
        create_adapter("lora", model, task_type="CAUSAL_LM")


@pytest.mark.parametrize("architecture", ["llama", "bert", "gpt2"])
def test_a_4_bit_base_merges_in_full_precision(architecture, quantized, tiny_model, tiny_batch, task_of, tmp_path):
    batch = tiny_batch(architecture)
    model = create_adapter("lora", quantized("nf4", architecture), task_type=task_of(architecture))
    base = logits(model, batch)
    move(model)
    expected = logits(model, batch)
    assert not torch.allclose(base, expected, atol=1e-3)
    merged = merge_adapter(model)
    torch.testing.assert_close(logits(merged, batch), expected, atol=1e-5, rtol=1e-5)
    merged.save_pretrained(tmp_path / "merged")
    plain = type(tiny_model(architecture)).from_pretrained(tmp_path / "merged")
    assert quantization_of(plain) is None
    torch.testing.assert_close(logits(plain, batch), expected, atol=1e-5, rtol=1e-5)


def test_an_8_bit_base_merges_but_for_the_rounding_of_activations(quantized, tiny_batch):
    model = create_adapter("lora", quantized("int8", "llama"), task_type="CAUSAL_LM")
    move(model)
    expected = logits(model, tiny_batch("llama"))
    torch.testing.assert_close(logits(merge_adapter(model), tiny_batch("llama")), expected, atol=1e-2, rtol=0)


@pytest.mark.parametrize(("adapter", "name"), [("pissa", "nf4"), ("pissa", "int8"), ("dora", "int8")])
def test_an_adapter_that_needs_another_base_says_so(adapter, name, quantized):
    with pytest.raises(UserError, match=f"adapter '{adapter}' does not work on a base in {name}: take lora"):
        create_adapter(adapter, quantized(name, "llama"), task_type="CAUSAL_LM")


def test_ia3_on_a_4_bit_base_says_that_it_cannot_be_merged(quantized):
    model = create_adapter("ia3", quantized("nf4", "llama"), task_type="CAUSAL_LM")
    with pytest.raises(UserError, match="the quantized base cannot be merged into: Cannot merge ia3"):
        merge_adapter(model)


def test_a_head_that_was_quantized_is_refused(tiny_model, tmp_path):
    pytest.importorskip("bitsandbytes")
    model = tiny_model("bert")
    model.save_pretrained(tmp_path)
    config = quantization_config("nf4", BasePlan(device=CPU, compute_dtype=torch.float32, keep=["nothing"]))
    model = type(model).from_pretrained(tmp_path, quantization_config=config)
    with pytest.raises(UserError, match="classifier is to be trained, but quantized"):
        create_adapter("lora", model, task_type="SEQ_CLS")


def test_nf4_is_qloras():
    pytest.importorskip("bitsandbytes")
    config = quantization_config("nf4", BasePlan(device=CPU, compute_dtype=torch.bfloat16, keep=["lm_head"]))
    assert (config.bnb_4bit_quant_type, config.bnb_4bit_use_double_quant) == ("nf4", True)
    assert config.bnb_4bit_compute_dtype == torch.bfloat16
    assert config.llm_int8_skip_modules == ["lm_head"]


def test_torchao_quantizes_blocks(tiny_model, tiny_batch, tmp_path):
    pytest.importorskip("torchao")
    model = tiny_model("llama")
    model.save_pretrained(tmp_path)
    plan = BasePlan(device=CPU, compute_dtype=torch.float32, keep=layers_outside_blocks(model))
    config = quantization_config("torchao_int8", plan)
    model = type(model).from_pretrained(tmp_path, quantization_config=config, dtype=torch.float32)
    assert quantization_of(model) == "torchao_int8"
    adapted = create_adapter("lora", model, task_type="CAUSAL_LM")
    move(adapted)
    assert all(gradients(adapted, tiny_batch("llama")).values())


@pytest.mark.parametrize("name", QUANTIZATIONS.names())
def test_a_package_that_is_missing_is_named_with_what_installs_it(name, monkeypatch):
    package = QUANTIZATIONS[name].facts["package"]
    monkeypatch.setitem(sys.modules, package, None)  # what Python finds where nothing is installed
    with pytest.raises(MissingPackageError, match=f"needs the package {package}: pip install .*quantization"):
        check_quantization(name)


def test_a_quantization_that_is_misspelt_is_answered():
    with pytest.raises(UserError, match="unknown quantization 'nf5', did you mean 'nf4'"):
        check_quantization("nf5")


@pytest.mark.parametrize("name", IN_BITS)
def test_a_machine_that_cannot_is_told_before_anything_is_loaded(name):
    pytest.importorskip("bitsandbytes")
    missing = torch.device("mps" if torch.cuda.is_available() else "cuda")
    plan = BasePlan(device=missing, compute_dtype=torch.float32, keep=[])
    with pytest.raises(UserError, match=rf"'{name}' does not run on this machine's {missing}: .*; torchao_int8 runs"):
        quantization_config(name, plan)
