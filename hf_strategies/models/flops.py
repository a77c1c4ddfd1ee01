"""Floating-point operations of training, as PaLM counts them for model FLOPs utilisation.

Paper: https://arxiv.org/abs/2204.02311, appendix B: 6 operations per token for each parameter that a token is
multiplied by, and 12 * layers * heads * head_dim * sequence_length for attention, without a discount for the causal
mask. Recomputation (activation checkpointing) does not count: it is work of the hardware, not of the model.

A state space that remembers n numbers per channel writes and reads them as attention does n tokens; the chunks that
faster code takes are again work of the hardware. Hyena's Fourier transforms count as in its paper
(https://arxiv.org/abs/2302.10866, appendix A): 10 * log2(length) per token, channel and convolution of a forward pass.
"""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig

EXPERT_COUNTS = ("num_experts", "num_local_experts", "n_routed_experts")


def training_flops_per_token(config: "PreTrainedConfig", num_parameters: int, sequence_length: float) -> float | None:
    """Count the operations of one forward and backward pass, per token.

    Args:
        config: The model's configuration; one without attention heads (rwkv) has no attention term, and in a
            hybrid only the layers that attend have one, a sliding window no further than it reaches.
        num_parameters: Parameters that every token is multiplied by, see `multiplied_parameters`.
        sequence_length: Tokens per row; a mean over rows weighted by tokens is exact where the count is affine in it,
            which it is but for Hyena.

    Returns:
        FLOP per token, or None where this count would be wrong: encoder-decoders and models made of several (a token
        passes through one of them), and mixtures of experts (a token meets a part of the parameters).
    """
    is_composed = config.is_encoder_decoder or config.sub_configs
    if is_composed or any((getattr(config, name, 0) or 0) > 1 for name in EXPERT_COUNTS):
        return None
    mixing = 12.0 * _attention_width(config) * _summed_span(config, sequence_length)
    if config.model_type in ("mamba", "mamba2"):
        mixing = 12.0 * config.num_hidden_layers * config.expand * config.hidden_size * config.state_size
    elif config.model_type == "hyena":
        convolutions = config.num_hidden_layers * config.order * config.hidden_size
        mixing = 30.0 * convolutions * math.log2(max(sequence_length, 1.0))
    return 6.0 * num_parameters + mixing


def multiplied_parameters(model: "nn.Module") -> int:
    """Count the parameters that every token is multiplied by: all but embedding tables that are only looked up.

    The output head counts, also when it is tied to the input embedding (then that table counts once, as the head).
    Networks that compute filters do not: they run once for all rows of a batch. Parameters that ZeRO-3 or FSDP2 has
    partitioned count whole.
    """
    from torch import nn

    from hf_strategies.module_tree.dynamics import filter_parameters

    head = getattr(model, "get_output_embeddings", lambda: None)()
    tables = {module.weight for module in model.modules() if isinstance(module, nn.Embedding) and module is not head}
    others = tables - ({head.weight} if head is not None else set()) | filter_parameters(model)
    return sum(getattr(param, "ds_numel", param.numel()) for param in set(model.parameters()) - others)


def _attention_width(config: "PreTrainedConfig") -> int:
    """Return heads * head_dim, 0 for a model without attention."""
    heads = getattr(config, "num_attention_heads", None)
    if not heads:
        return 0
    return heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)


def _summed_span(config: "PreTrainedConfig", sequence_length: float) -> float:
    """Return the tokens that one token attends to, summed over layers."""
    window = getattr(config, "sliding_window", None)
    spans = {"full_attention": sequence_length, "sliding_attention": min(window or sequence_length, sequence_length)}
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        kinds = ["sliding_attention" if window else "full_attention"] * config.num_hidden_layers
    return sum(spans.get(kind, 0.0) for kind in kinds)
