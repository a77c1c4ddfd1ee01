"""LSTM and GRU as classifiers of whole rows, and of tokens; both read a row both ways where nobody says otherwise."""

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput, TokenClassifierOutput

from hf_strategies.models.recurrent.config import RecurrentConfig
from hf_strategies.models.recurrent.model import RecurrentModel, RecurrentPreTrainedModel


class _Classifier(RecurrentPreTrainedModel):
    """A body that reads both ways, and what a linear map makes of it.

    Args:
        config: Its `bidirectional` is settled here.
        features: Numbers that the map reads, as a multiple of `hidden_size`.
    """

    def __init__(self, config: RecurrentConfig, features: int) -> None:
        config.bidirectional = True if config.bidirectional is None else config.bidirectional
        super().__init__(config)
        self.num_labels = config.num_labels
        self.model = RecurrentModel(config)
        self.dropout = nn.Dropout(config.dropout)
        self.score = nn.Linear(features * config.hidden_size, config.num_labels)
        self.post_init()


class RecurrentForSequenceClassification(_Classifier):
    """A classifier of whole rows: by the last state, the mean and the maximum over tokens.

    As in ULMFiT (https://arxiv.org/abs/1801.06146, section 3.3): what tells classes apart may stand anywhere in a row.
    """

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config, features=3)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        **loss_settings,
    ) -> SequenceClassifierOutput:
        """Score each row, `[rows, num_labels]`; with `labels`, return the loss too."""
        read = self.model(input_ids, attention_mask, inputs_embeds)
        logits = self.score(self.dropout(_pool(read.last_hidden_state, read.state, attention_mask)))
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits=logits, labels=labels, pooled_logits=logits, config=self.config, **loss_settings
            )
        return SequenceClassifierOutput(loss=loss, logits=logits)


class RecurrentForTokenClassification(_Classifier):
    """A classifier of tokens."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config, features=1)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        **loss_settings,
    ) -> TokenClassifierOutput:
        """Score each token, `[rows, tokens, num_labels]`; with `labels`, -100 where none, return the loss too."""
        read = self.model(input_ids, attention_mask, inputs_embeds)
        logits = self.score(self.dropout(read.last_hidden_state))
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, config=self.config, **loss_settings)
        return TokenClassifierOutput(loss=loss, logits=logits)


def _pool(hidden_states: Tensor, state: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Put what a row ends with, its mean and its maximum beside one another, padding left out: `[rows, 3 * width]`."""
    last = state[-1, 0].transpose(0, 1).flatten(1)  # each direction at the end of its way
    if attention_mask is None:
        return torch.cat([last, hidden_states.mean(dim=1), hidden_states.amax(dim=1)], dim=1)
    kept = attention_mask[..., None].bool()
    mean = hidden_states.sum(dim=1) / kept.sum(dim=1).clamp(min=1)  # padding is zero
    lowest = torch.finfo(hidden_states.dtype).min
    return torch.cat([last, mean, hidden_states.masked_fill(~kept, lowest).amax(dim=1)], dim=1)
