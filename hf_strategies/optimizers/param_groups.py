"""Ways to split a model's trainable parameters into optimizer groups: each parameter in exactly one."""

from contextlib import suppress

from torch import nn

from hf_strategies.distributed.zero import full_shape


def split_by_decay(model: nn.Module, weight_decay: float) -> list[dict]:
    """Decay what has two dimensions or more, spare vectors and scalars (norms, biases).

    Frozen parameters and empty groups are left out; tied weights count once.

    Args:
        model: The whole model.
        weight_decay: Decay of the first group; the second has 0.
    """
    return _decayed_and_spared([param for param in model.parameters() if param.requires_grad], weight_decay)


def split_matrices(model: nn.Module, weight_decay: float) -> list[dict]:
    """Put hidden matrices in a group tagged `matrix`, and the rest in groups by decay.

    A hidden matrix is a `weight` of two dimensions that maps activations to activations. Embeddings and output heads
    have one row per token instead; a two-dimensional parameter by another name (Mamba's `A_log`, a table of positions)
    is no linear map at all.

    Args:
        model: The whole model.
        weight_decay: Decay of everything but vectors and scalars.
    """
    embeddings = embedding_parameters(model)
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, param in model.named_parameters():
        if param.requires_grad:
            is_weight = name.endswith("weight") and len(full_shape(param)) == 2
            (matrices if is_weight and param not in embeddings else rest).append(param)
    matrix_groups = [{"params": matrices, "weight_decay": weight_decay, "matrix": True}] if matrices else []
    return matrix_groups + [{**group, "matrix": False} for group in _decayed_and_spared(rest, weight_decay)]


def embedding_parameters(model: nn.Module) -> set[nn.Parameter]:
    """Find the parameters of embeddings and output heads, in wrapped and in composite models too.

    They are the modules that any part of the model names by `get_input_embeddings` and `get_output_embeddings`, and
    every `nn.Embedding` (learned positions, token types).
    """
    found: set[nn.Parameter] = set()
    for module in model.modules():
        parts = [module] if isinstance(module, nn.Embedding) else _named_embeddings(module)
        found.update(param for part in parts for param in part.parameters())
    return found


def _named_embeddings(module: nn.Module) -> list[nn.Module]:
    named = []
    for getter in ("get_input_embeddings", "get_output_embeddings"):
        if hasattr(module, getter):
            with suppress(NotImplementedError):  # transformers' way to say that this model has none
                named.append(getattr(module, getter)())
    return [part for part in named if isinstance(part, nn.Module)]


def _decayed_and_spared(params: list[nn.Parameter], weight_decay: float) -> list[dict]:
    groups = [
        {"params": [param for param in params if len(full_shape(param)) >= 2], "weight_decay": weight_decay},
        {"params": [param for param in params if len(full_shape(param)) < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
