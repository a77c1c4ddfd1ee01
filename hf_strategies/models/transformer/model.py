"""The Transformer of 2017 as a decoder: a body and a language model.

Paper: https://arxiv.org/abs/1706.03762. Layers, attention kernels, caches and heads are those of the host's OPT; what
is written here is what stands before them: scaled embeddings (section 3.4) and sinusoids (section 3.5).
"""

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache, OPTForCausalLM, OPTModel, OPTPreTrainedModel
from transformers import initialization as init
from transformers.masking_utils import create_causal_mask
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.models.opt.modeling_opt import OPTDecoderLayer
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from hf_strategies.models.transformer.config import TransformerConfig

LONGEST_WAVE = 10_000.0  # over 2 pi; the shortest is 1 over 2 pi


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """Encode positions as the paper does: sines at even and cosines at odd dimensions, of falling frequencies.

    Args:
        positions: `[...]`, whole numbers from 0 on.
        width: Dimensions; an odd one has a sine more.

    Returns:
        `[..., width]`, in float32.
    """
    exponents = torch.arange(0, width, 2, device=positions.device) / width
    angles = positions[..., None].float() / LONGEST_WAVE**exponents
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)[..., :width]


class TransformerPreTrainedModel(OPTPreTrainedModel):
    """What the models share: their config, and how fresh weights are drawn."""

    config: TransformerConfig
    config_class = TransformerConfig

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Draw embeddings so that they have unit variance once scaled: as large as the positions added to them."""
        super()._init_weights(module)
        if isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=module.embedding_dim**-0.5)


class TransformerDecoder(TransformerPreTrainedModel):
    """From token ids to hidden states; modules have the names that OPT's heads look for."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        if config.positions == "learned":
            self.embed_positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.layers = nn.ModuleList(OPTDecoderLayer(config, layer_idx=i) for i in range(config.num_hidden_layers))
        self.final_layer_norm = nn.LayerNorm(config.hidden_size) if config.do_layer_norm_before else nn.Identity()
        self.gradient_checkpointing = False
        self.post_init()

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        position_ids: Tensor | None = None,
        **kwargs,
    ) -> BaseModelOutputWithPast:
        """Read rows of tokens, as the host's models do.

        Args:
            input_ids: `[rows, tokens]`; or `inputs_embeds`, `[rows, tokens, hidden_size]`, not scaled yet.
            attention_mask: `[rows, tokens]`, 0 at padding.
            past_key_values: Keys and values of tokens before these.
            inputs_embeds: In the place of `input_ids`.
            use_cache: Whether to return keys and values.
            position_ids: `[rows, tokens]`; where they restart, another text begins.
            kwargs: For the attention.

        Raises:
            ValueError: Both or none of the inputs are given.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("expected either input_ids or inputs_embeds")
        words = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        if position_ids is None:
            position_ids = self._positions(words, attention_mask, past_key_values)
        mask = create_causal_mask(
            config=self.config,
            inputs_embeds=words,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            position_ids=position_ids,
        )
        width = self.config.hidden_size
        learned = self.config.positions == "learned"
        places = self.embed_positions(position_ids) if learned else sinusoids(position_ids, width).to(words.dtype)
        hidden_states = nn.functional.dropout(words * width**0.5 + places, self.config.dropout, self.training)
        for layer in self.layers:
            hidden_states = layer(
                hidden_states,
                attention_mask=mask,
                position_ids=position_ids,
                past_key_values=past_key_values,
                use_cache=use_cache,
                **kwargs,
            )
        return BaseModelOutputWithPast(
            last_hidden_state=self.final_layer_norm(hidden_states), past_key_values=past_key_values
        )

    @staticmethod
    def _positions(words: Tensor, attention_mask: Tensor | None, past: Cache | None) -> Tensor:
        """Count tokens from 0, padding left out, those of a cache before these."""
        seen = past.get_seq_length() if past is not None else 0
        if attention_mask is None:
            return torch.arange(seen, seen + words.shape[1], device=words.device)[None]
        return (attention_mask.long().cumsum(dim=1) - 1).clamp(min=0)[:, seen:]


class TransformerModel(TransformerPreTrainedModel, OPTModel):
    """The decoder, inside what OPT's heads expect."""

    def __init__(self, config: TransformerConfig) -> None:
        OPTPreTrainedModel.__init__(self, config)  # not OPTModel's, which would make its own decoder
        self.decoder = TransformerDecoder(config)
        self.post_init()


class TransformerForCausalLM(TransformerPreTrainedModel, OPTForCausalLM):
    """A language model, whose head is its embedding."""

    def __init__(self, config: TransformerConfig) -> None:
        OPTPreTrainedModel.__init__(self, config)  # likewise
        self.model = TransformerModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()
