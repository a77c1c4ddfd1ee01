"""Hyena as models of the host's kind: a body, a language model, and a classifier."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput, SequenceClassifierOutput

from hf_strategies.models.hyena.config import HyenaConfig
from hf_strategies.models.hyena.filters import HyenaFilter
from hf_strategies.models.hyena.operator import HyenaOperator, ResidualLinear


class HyenaBlock(GradientCheckpointingLayer):
    """Pre-norm: the operator, then a feed-forward layer."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.operator = HyenaOperator(config)
        self.norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]
        self.down_proj = ResidualLinear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden_states: Tensor, mask: Tensor | None = None) -> Tensor:
        hidden_states = hidden_states + self.dropout(self.operator(self.norm1(hidden_states), mask))
        inside = self.activation(self.up_proj(self.norm2(hidden_states)))
        return hidden_states + self.dropout(self.down_proj(inside))


class HyenaPreTrainedModel(PreTrainedModel):
    """What the models share: their config, and how fresh weights are drawn."""

    config: HyenaConfig
    config_class = HyenaConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules: ClassVar = ["HyenaBlock"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Draw as GPT-2 does; the host asks for modules that have parameters of their own alone."""
        super()._init_weights(module)
        if isinstance(module, ResidualLinear):
            init.normal_(
                module.weight, std=self.config.initializer_range / math.sqrt(2 * self.config.num_hidden_layers)
            )
        elif isinstance(module, nn.Conv1d):
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))
        elif isinstance(module, HyenaFilter):
            for param, value in module.initial_values().items():
                init.copy_(param, value)


class HyenaModel(HyenaPreTrainedModel):
    """From token ids to hidden states."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(HyenaBlock(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.embeddings = value

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> BaseModelOutput:
        """Read rows of tokens.

        Args:
            input_ids: `[rows, tokens]`; or `inputs_embeds`, `[rows, tokens, hidden_size]`.
            attention_mask: `[rows, tokens]`, 0 at padding.
            inputs_embeds: In the place of `input_ids`.
            output_hidden_states: Whether to return the states between the blocks too.

        Raises:
            ValueError: Both or none of the inputs are given, or a row is longer than the filters.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("expected either input_ids or inputs_embeds")
        hidden_states = self.dropout(self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds)
        if hidden_states.shape[1] > self.config.max_position_embeddings:
            raise ValueError(
                f"rows must have at most {self.config.max_position_embeddings} tokens, as many as the filters have "
                f"taps, got {hidden_states.shape[1]}"
            )
        mask = None if attention_mask is None else attention_mask[:, None]
        between = [hidden_states]
        for layer in self.layers:
            hidden_states = layer(hidden_states, mask)
            between.append(hidden_states)
        hidden_states = self.norm(hidden_states)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return BaseModelOutput(
            last_hidden_state=hidden_states, hidden_states=(*between[:-1], hidden_states) if wanted else None
        )


class HyenaForCausalLM(HyenaPreTrainedModel, GenerationMixin):
    """A language model.

    `generate` has no cache, since a convolution has no state of fixed size: every new token costs a pass over all of
    the row, O(length log length), and so a row of n tokens O(n^2 log n).
    """

    _tied_weights_keys: ClassVar = {"lm_head.weight": "model.embeddings.weight"}

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__(config)
        self.model = HyenaModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **_unused
    ) -> dict[str, Tensor | int | None]:
        """Hand on the whole row, whatever the host believes to be in a cache."""
        return {"input_ids": input_ids, "attention_mask": attention_mask, "logits_to_keep": 1}

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        use_cache: bool | None = None,  # the host says false to every model, to save memory
        return_dict: bool | None = None,  # the host's generation says true
        logits_to_keep: int = 0,
        **loss_settings,
    ) -> CausalLMOutput:
        """Predict the token behind each token; with `labels` `[rows, tokens]`, -100 where none, return the loss too.

        `logits_to_keep` predicts behind so many tokens at the end alone, 0 behind all.
        """
        read = self.model(input_ids, attention_mask, inputs_embeds, output_hidden_states)
        logits = self.lm_head(read.last_hidden_state[:, -logits_to_keep:])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **loss_settings)
        return CausalLMOutput(loss=loss, logits=logits, hidden_states=read.hidden_states)


class HyenaForSequenceClassification(HyenaPreTrainedModel):
    """A classifier of whole rows, such as promoters: what it reads is the mean over tokens, padding left out."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.model = HyenaModel(config)
        self.score = nn.Linear(config.hidden_size, config.num_labels, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **loss_settings,
    ) -> SequenceClassifierOutput:
        """Score each row, `[rows, num_labels]`; with `labels`, return the loss too."""
        read = self.model(input_ids, attention_mask, inputs_embeds, output_hidden_states)
        states = read.last_hidden_state
        if attention_mask is None:
            pooled = states.mean(dim=1)
        else:
            kept = attention_mask[..., None].to(states.dtype)
            pooled = (states * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1)
        logits = self.score(pooled)
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits=logits, labels=labels, pooled_logits=logits, config=self.config, **loss_settings
            )
        return SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=read.hidden_states)
