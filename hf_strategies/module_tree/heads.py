"""What a task adds on top of a pretrained model."""

from torch import nn
from transformers import PreTrainedModel

from hf_strategies.module_tree.embeddings import embedding_parameters


def head_names(model: PreTrainedModel) -> list[str]:
    """Name the modules that stand beside the pretrained body and are none of its language-model head.

    Such are a classifier and what leads to it. A head that predicts tokens was pretrained with the body, and is none.

    Args:
        model: A model of the host's, not wrapped.
    """
    body, tables = model.base_model, embedding_parameters(model)
    if body is model:  # it has no body of its own: every part of it was pretrained
        return []
    return [name for name, child in model.named_children() if child is not body and _is_head(child, tables)]


def _is_head(child: nn.Module, tables: set[nn.Parameter]) -> bool:
    params = list(child.parameters())
    return bool(params) and not any(param in tables for param in params)
