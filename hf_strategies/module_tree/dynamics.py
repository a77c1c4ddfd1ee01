"""Parameters that are no maps of activations, but say how a layer remembers: decays, steps, mixes, filters."""

from torch import nn

from hf_strategies.module_tree.names import named_parameters

# Of Mamba, Mamba-2 and the host's other state spaces, and of RWKV: none of these is at rest at zero.
DYNAMICS = {
    "A_log", "D", "dt_bias",
    "time_decay", "time_first", "time_mix_key", "time_mix_value", "time_mix_receptance",
}  # fmt: skip
FILTER = "HyenaFilter"


def dynamic_parameters(model: nn.Module) -> set[nn.Parameter]:
    """Find what its authors do not decay, whatever its shape: dynamics by their names, and all of a filter."""
    named = named_parameters(model).items()
    return {param for name, param in named if name.rpartition(".")[2] in DYNAMICS} | filter_parameters(
        model, skip=True
    )


def filter_parameters(model: nn.Module, *, skip: bool = False) -> set[nn.Parameter]:
    """Find the parameters that compute filters from positions; with `skip`, what passes beside filters too."""
    networks = [module for module in model.modules() if type(module).__name__ == FILTER]
    return {param for network in networks for name, param in network.named_parameters() if skip or name != "skip"}
