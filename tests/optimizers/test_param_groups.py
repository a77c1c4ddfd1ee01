import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from hf_strategies.optimizers.param_groups import embedding_parameters, split_by_decay, split_matrices


def llama(**overrides) -> LlamaForCausalLM:
    sizes = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    return LlamaForCausalLM(LlamaConfig(**{**sizes, "num_attention_heads": 2, **overrides}))


def gpt2() -> GPT2LMHeadModel:
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(vocab_size=32, n_positions=8, n_embd=16, n_layer=1, n_head=2, **ends))


def names_in(model: nn.Module, group: dict) -> set[str]:
    names = {id(param): name for name, param in model.named_parameters()}
    return {names[id(param)] for param in group["params"]}


def test_matrices_decay_and_vectors_do_not():
    model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
    decayed, spared = split_by_decay(model, 0.1)
    assert [param.shape for param in decayed["params"]] == [(3, 4)]
    assert [param.shape for param in spared["params"]] == [(3,), (3,), (3,)]
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)


def test_frozen_parameters_and_empty_groups_are_left_out():
    model = nn.Linear(4, 3)
    model.weight.requires_grad_(False)
    (only,) = split_by_decay(model, 0.1)
    assert only["params"] == [model.bias]
    (only,) = split_matrices(model, 0.1)
    assert only["params"] == [model.bias]


def test_sees_through_zero3_partitioning():
    model = nn.Linear(4, 3, bias=False)
    model.weight.ds_shape = model.weight.shape
    model.weight.data = torch.empty(0)  # what DeepSpeed leaves behind
    (only,) = split_by_decay(model, 0.1)
    assert only["weight_decay"] == 0.1
    (only,) = split_matrices(model, 0.1)
    assert only["matrix"]


@pytest.mark.parametrize("split", [split_by_decay, split_matrices])
@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_is_owned_once_also_when_tied(split, tied):
    model = llama(tie_word_embeddings=tied)
    owned = [id(param) for group in split(model, 0.1) for param in group["params"]]
    assert sorted(owned) == sorted(id(param) for param in model.parameters())


def test_hidden_matrices_are_those_between_embedding_and_head():
    model = llama(tie_word_embeddings=False)
    matrices, decayed, spared = split_matrices(model, 0.1)
    assert {name.split(".")[-2] for name in names_in(model, matrices)} == {
        *("q_proj", "k_proj", "v_proj", "o_proj"),
        *("gate_proj", "up_proj", "down_proj"),
    }
    assert len(matrices["params"]) == 7 * 2
    assert names_in(model, decayed) == {"model.embed_tokens.weight", "lm_head.weight"}
    assert all("norm" in name for name in names_in(model, spared))
    assert [group["matrix"] for group in (matrices, decayed, spared)] == [True, False, False]
    assert [group["weight_decay"] for group in (matrices, decayed, spared)] == [0.1, 0.1, 0.0]


def test_learned_positions_are_embeddings_and_transposed_layers_are_matrices():
    model = gpt2()
    matrices, decayed, _ = split_matrices(model, 0.1)
    assert names_in(model, decayed) == {"transformer.wte.weight", "transformer.wpe.weight"}
    assert {name.split(".", 3)[-1] for name in names_in(model, matrices)} == {
        *("attn.c_attn.weight", "attn.c_proj.weight"),
        *("mlp.c_fc.weight", "mlp.c_proj.weight"),
    }


def test_embeddings_are_found_inside_a_wrapper():
    model = llama(tie_word_embeddings=False)
    assert embedding_parameters(nn.ModuleDict({"wrapped": model})) == {
        model.model.embed_tokens.weight,
        model.lm_head.weight,
    }


class StateSpace(nn.Module):
    """A state matrix that is no linear map, a kernel, and a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.A_log = nn.Parameter(torch.zeros(4, 3))
        self.conv = nn.Conv1d(4, 4, 3, bias=False)
        self.proj = nn.Linear(4, 4, bias=False)


def test_state_matrices_and_kernels_are_not_hidden_matrices():
    model = StateSpace()
    matrices, decayed = split_matrices(model, 0.1)
    assert names_in(model, matrices) == {"proj.weight"}
    assert names_in(model, decayed) == {"A_log", "conv.weight"}
