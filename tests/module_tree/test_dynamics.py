import pytest
from torch import nn

from hf_strategies.models.factory import create_config, create_model
from hf_strategies.models.sizes import resolve_sizes
from hf_strategies.module_tree.dynamics import dynamic_parameters, filter_parameters
from hf_strategies.module_tree.names import named_parameters
from hf_strategies.optimizers.group_spec import parse_group_spec
from hf_strategies.optimizers.matrices import matrix_layouts
from hf_strategies.optimizers.param_groups import create_param_groups

DECAYED = {  # of a block; what else there is are vectors and dynamics
    "mamba": {"conv1d.weight", "in_proj.weight", "x_proj.weight", "dt_proj.weight", "out_proj.weight"},
    "mamba2": {"conv1d.weight", "in_proj.weight", "out_proj.weight"},
    "rwkv": {"key.weight", "value.weight", "receptance.weight", "output.weight"},
    "hyena": {"in_proj.weight", "short_conv.weight", "out_proj.weight", "up_proj.weight", "down_proj.weight"},
    "transformer_pp": {f"{name}_proj.weight" for name in ("q", "k", "v", "o", "gate", "up", "down")},
}
DEPTHWISE = {"conv1d.weight", "short_conv.weight"}


def build(name: str) -> nn.Module:
    sizes, _ = resolve_sizes(name, {"hidden_size": 32, "num_hidden_layers": 2})
    return create_model(create_config(name, vocab_size=64, max_seq_length=16, sizes=sizes))


def ends(names) -> set[str]:
    """The last two words of each name within a block: a module and its parameter."""
    return {".".join(name.split(".")[-2:]) for name in names if "layers." in name or "blocks." in name}


@pytest.mark.parametrize("name", DECAYED)
def test_maps_of_activations_are_decayed_and_what_remembers_is_not(name):
    model = build(name)
    names = {param: word for word, param in named_parameters(model).items()}
    groups = create_param_groups(
        model, parse_group_spec({"decay_embeddings": False}), optimizer="adamw", lr=1.0, weight_decay=0.1
    )
    decayed = {names[param] for group in groups if group["weight_decay"] for param in group["params"]}
    assert ends(decayed) == DECAYED[name]
    assert {names[param] for param in dynamic_parameters(model)}.isdisjoint(decayed)


@pytest.mark.parametrize("name", DECAYED)
def test_maps_of_activations_are_matrices_and_what_computes_filters_is_none(name):
    model = build(name)
    names = {param: word for word, param in named_parameters(model).items()}
    assert ends(names[param] for param in matrix_layouts(model)) == DECAYED[name] - DEPTHWISE


def test_dynamics_are_named_in_the_table_of_groups_and_found_in_a_wrapper():
    model = build("mamba")
    groups = create_param_groups(model, parse_group_spec(None), optimizer="adamw", lr=1.0, weight_decay=0.1)
    sizes = {group["name"]: group["num_tensors"] for group in groups}
    assert sizes["dynamics"] == 2  # A_log of two layers; D is a vector
    assert dynamic_parameters(nn.ModuleDict({"wrapped": model})) == dynamic_parameters(model)


def test_what_passes_beside_a_filter_is_no_part_of_its_network():
    model = build("hyena")
    beside = {layer.operator.filter.skip for layer in model.model.layers}
    assert dynamic_parameters(model) - filter_parameters(model) == beside
