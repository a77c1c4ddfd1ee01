"""LSTM and GRU: a body, and a language model.

Papers: https://www.bioinf.jku.at/publications/older/2604.pdf (LSTM), https://arxiv.org/abs/1406.1078 (GRU); dropout
where https://arxiv.org/abs/1409.2329 has it, between layers and never between time steps; the head tied to the
embedding as in https://arxiv.org/abs/1608.05859.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from transformers import GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from hf_strategies.models.recurrent.config import RecurrentConfig
from hf_strategies.models.recurrent.padding import Packing

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}
GATES = {"lstm": 4, "gru": 3}
FORGET_GATE = 1  # torch's order of an LSTM's: input, forget, cell, output


@dataclass
class RecurrentOutput(ModelOutput):
    """What the body returns.

    Args:
        last_hidden_state: `[rows, tokens, hidden_size]`, zeros at padding.
        state: `[layers, kinds, directions, rows, width]`: what goes on to the next token; an LSTM has two kinds, what
            it puts out and its cell.
    """

    last_hidden_state: Tensor | None = None
    state: Tensor | None = None


@dataclass
class RecurrentCausalLMOutput(ModelOutput):
    """What the language model returns: the state is the body's."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    state: Tensor | None = None


class RecurrentPreTrainedModel(PreTrainedModel):
    """What the models share: their config, and how fresh weights are drawn."""

    config: RecurrentConfig
    config_class = RecurrentConfig
    base_model_prefix = "model"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Make each gate of a recurrence orthogonal in what it remembers, and open an LSTM's forget gates at first.

        Open forget gates: https://proceedings.mlr.press/v37/jozefowicz15.html, section 2.2.
        """
        if isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.embedding_range)
        elif isinstance(module, nn.RNNBase):
            for name, param in module.named_parameters():
                init.copy_(param, self._initial_gates(name, module.hidden_size, param.shape[1:]).flatten(0, 1))
        else:
            super()._init_weights(module)

    def _initial_gates(self, name: str, width: int, inputs: torch.Size) -> Tensor:
        gates = torch.zeros(GATES[self.config.cell], width, *inputs)
        if name.startswith("bias_ih") and self.config.cell == "lstm":
            gates[FORGET_GATE] = 1.0  # torch adds two biases: the other one stays at zero
        elif name.startswith("weight"):
            for gate in gates:
                (nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_)(gate)
        return gates


class RecurrentModel(RecurrentPreTrainedModel):
    """From token ids to hidden states."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        ways = 2 if config.bidirectional else 1
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            CELLS[config.cell](
                config.hidden_size, config.hidden_size // ways, bidirectional=ways == 2, batch_first=True
            )
            for _ in range(config.num_hidden_layers)
        )
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
        state: Tensor | None = None,
    ) -> RecurrentOutput:
        """Read rows of tokens.

        Args:
            input_ids: `[rows, tokens]`; or `inputs_embeds`, `[rows, tokens, hidden_size]`.
            attention_mask: `[rows, tokens]`, 0 at padding, wherever it stands; or of all tokens so far.
            inputs_embeds: In the place of `input_ids`.
            state: Of the tokens before these, as it was returned.

        Raises:
            ValueError: Both or none of the inputs are given.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("expected either input_ids or inputs_embeds")
        hidden_states = self.dropout(self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds)
        packing = Packing.of(attention_mask, hidden_states.shape[1])
        flow = hidden_states if packing is None else packing.pack(hidden_states)
        states = []
        for number, layer in enumerate(self.layers):
            before = None if state is None else state[number].unbind()
            flow, after = layer(flow, before if before is None or len(before) == 2 else before[0])
            states.append(torch.stack(after if isinstance(after, tuple) else (after,)))
            flow = self._drop(flow)
        return RecurrentOutput(
            last_hidden_state=flow if packing is None else packing.unpack(flow), state=torch.stack(states)
        )

    def _drop(self, flow: Tensor | PackedSequence) -> Tensor | PackedSequence:
        return flow._replace(data=self.dropout(flow.data)) if isinstance(flow, PackedSequence) else self.dropout(flow)


class RecurrentForCausalLM(RecurrentPreTrainedModel, GenerationMixin):
    """A language model; `generate` keeps its state, of one size whatever the length, and a token costs one step.

    Raises:
        ValueError: The config reads rows both ways.
    """

    _tied_weights_keys = {"lm_head.weight": "model.embeddings.weight"}  # noqa: RUF012 - the host reads it from the class
    _is_stateful = True

    def __init__(self, config: RecurrentConfig) -> None:
        if config.bidirectional:
            raise ValueError("bidirectional must be false: a language model that reads ahead has nothing to predict")
        config.bidirectional = False
        super().__init__(config)
        self.model = RecurrentModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # there are no keys and values: the state goes its own way

    @staticmethod
    def _reorder_cache(state: Tensor, beam_idx: Tensor) -> Tensor:
        return state.index_select(3, beam_idx.to(state.device))

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        state: Tensor | None = None,
        use_cache: bool | None = None,
        **_unused,
    ) -> dict[str, Tensor | int | bool | None]:
        """Read the last token alone once there is a state of those before it."""
        new = input_ids if state is None else input_ids[:, -1:]
        return {
            "input_ids": new, "attention_mask": attention_mask, "state": state, "use_cache": use_cache,
            "logits_to_keep": 1,
        }  # fmt: skip

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        state: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        return_dict: bool | None = None,  # the host's generation says true
        logits_to_keep: int = 0,
        **loss_settings,
    ) -> RecurrentCausalLMOutput:
        """Predict the token behind each token; with `labels` `[rows, tokens]`, -100 where none, return the loss too.

        `logits_to_keep` predicts behind so many tokens at the end alone, 0 behind all.
        """
        read = self.model(input_ids, attention_mask, inputs_embeds, state)
        logits = self.lm_head(read.last_hidden_state[:, -logits_to_keep:])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **loss_settings)
        keeps = not self.training and (self.config.use_cache if use_cache is None else use_cache)
        return RecurrentCausalLMOutput(loss=loss, logits=logits, state=read.state if keeps else None)
