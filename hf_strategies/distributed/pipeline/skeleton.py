"""The model's own forward code, run by a stage that has only some of its modules.

A block is called with more than hidden states: masks, rotary positions, what its kind of attention needs. The base
model's forward method works all of that out, and here it still does: each stage runs it on a skeleton, whose
blocks only note what they are called with. The head's loss is computed by the causal language model's own forward
method, over a base model that hands on the hidden states it was given. Copies of modules are shallow: they share
all parts but those that are replaced.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import MoeModelOutputWithPast

from hf_strategies.distributed.pipeline.plan import PipelinePlan, base_of, causal_lm_of, has_weights

AnyModule = TypeVar("AnyModule", bound=nn.Module)

FIRST_ONLY = ("input_ids",)  # inputs that only the first stage's forward takes
LAST_ONLY = ("labels", "shift_labels", "num_items_in_batch")


class Recorder(nn.Module):
    """Stands where a block stands and looks like it, notes what it is called with, and hands hidden states on.

    Args:
        block: The block; not a part of this module.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.__dict__["_block"] = block
        self.hidden: Tensor | None = None
        self.call: tuple[tuple, dict[str, Any]] = ((), {})

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["_block"], name)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        kwargs = dict(kwargs)
        hidden = args[0] if args else kwargs.pop("hidden_states")
        self.hidden, self.call = hidden, (args[1:], kwargs)
        return hidden


class Absent(nn.Module):
    """Stands for a part whose weights are on another stage: what it would add has been added there."""

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return torch.zeros(())


class Passing(nn.Module):
    """Hands on what it is given."""

    def forward(self, hidden_states: Any, *args: Any, **kwargs: Any) -> Any:
        return hidden_states


class Skeleton(nn.Module):
    """A base model without blocks, whose forward method says what the blocks are called with.

    Args:
        model: The causal language model, whole or with the weights of other stages on the meta device.
        plan: Its plan.
        embeds: Whether this stage turns tokens into hidden states.
    """

    def __init__(self, model: nn.Module, plan: PipelinePlan, *, embeds: bool) -> None:
        super().__init__()
        base = base_of(model)
        self.recorders = [Recorder(block) for block in getattr(base, plan.blocks)]
        replaced: dict[str, nn.Module] = {plan.blocks: nn.ModuleList(self.recorders)}
        replaced |= {name: Passing() for name in plan.after}
        if not embeds:
            replaced |= {name: Absent() if has_weights(getattr(base, name)) else Passing() for name in plan.before}
        self.base = replace_children(base, replaced)
        self.embeds = embeds

    def forward(self, inputs: Mapping[str, Any], hidden: Tensor | None = None) -> Tensor:
        """Run the base model's forward method.

        Args:
            inputs: Of the whole model.
            hidden: What the stage before has computed; None on the first. `[rows, tokens, width]`

        Returns:
            The hidden states that the first block is called with, or `hidden` as it is. What each block is called with
            besides stands in its recorder.
        """
        around = {name: value for name, value in inputs.items() if name not in (*FIRST_ONLY, *LAST_ONLY)}
        if hidden is None:
            self.base(**{name: inputs[name] for name in FIRST_ONLY}, **around, use_cache=False)
            assert self.recorders[0].hidden is not None
            hidden = self.recorders[0].hidden
        else:
            with torch.no_grad():
                self.base(inputs_embeds=hidden.detach(), **around, use_cache=False)
        for recorder in self.recorders:
            recorder.hidden = None
        return hidden

    def call(self, number: int) -> tuple[tuple, dict[str, Any]]:
        """Return what block `number` was called with in the last run, besides hidden states."""
        return self.recorders[number].call


def tail_of(model: nn.Module, plan: PipelinePlan) -> PreTrainedModel:
    """Return the causal language model without its blocks: called with their hidden states as `inputs_embeds`."""
    inner = causal_lm_of(model)
    after = [getattr(base_of(model), name) for name in plan.after]
    return replace_children(inner, {inner.base_model_prefix: HandedOn(after)})


@dataclass
class HiddenStates(MoeModelOutputWithPast):
    """What any base model returns, of which only the hidden states are there."""

    cross_attentions: Any = None
    shared_kv_states: Any = None


class HandedOn(nn.Module):
    """Stands for a base model whose blocks have run elsewhere.

    Args:
        after: The modules behind its last block.
    """

    def __init__(self, after: Sequence[nn.Module]) -> None:
        super().__init__()
        self.after = nn.ModuleList(after)

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> HiddenStates:
        hidden = inputs_embeds
        for module in self.after:
            hidden = module(hidden)
        return HiddenStates(last_hidden_state=hidden)


def replace_children(module: AnyModule, replaced: Mapping[str, nn.Module]) -> AnyModule:
    """Return a shallow copy of a module with other children in some places."""
    copied = copy.copy(module)
    copied.__dict__["_modules"] = {**module._modules, **replaced}
    copied.__dict__.pop("forward", None)  # of the original, if somebody has wrapped it there
    return copied
