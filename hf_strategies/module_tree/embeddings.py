"""Which parameters hold one row per token: embeddings and output heads."""

from contextlib import suppress

from torch import nn


def embedding_parameters(model: nn.Module) -> set[nn.Parameter]:
    """Find the parameters of embeddings and output heads, in wrapped and in composite models too."""
    return input_embeddings(model) | _named(model, "get_output_embeddings")


def input_embeddings(model: nn.Module) -> set[nn.Parameter]:
    """Find the parameters of embeddings, also where a head shares them.

    They are the modules that any part of the model names by `get_input_embeddings`, and every `nn.Embedding` (learned
    positions, token types).
    """
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    return {param for table in tables for param in table.parameters()} | _named(model, "get_input_embeddings")


def _named(model: nn.Module, getter: str) -> set[nn.Parameter]:
    found: set[nn.Parameter] = set()
    for module in model.modules():
        if hasattr(module, getter):
            with suppress(NotImplementedError):  # transformers' way to say that this model has none
                part = getattr(module, getter)()
                found.update(part.parameters() if isinstance(part, nn.Module) else ())
    return found
