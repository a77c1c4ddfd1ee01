"""One stage of a model, as DeepSpeed's pipeline engine takes it: a list of layers, of which each process has some."""

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from deepspeed.pipe import PipelineModule, TiedLayerSpec
from torch import Tensor, nn

from hf_strategies.distributed.pipeline.plan import PipelinePlan, base_of, causal_lm_of
from hf_strategies.distributed.pipeline.skeleton import Skeleton, tail_of

# What travels between stages: hidden states, and the number of their micro-batch. All else each stage has read itself.
Travelling = tuple[Tensor, Tensor]
Inputs = Mapping[str, Any]
Loss = Callable[[nn.Module, Tensor, int], Tensor]  # of what stands behind the blocks, hidden states, and a number


class MicroBatches:
    """The inputs of the micro-batches that are under way, by their numbers."""

    def __init__(self) -> None:
        self._inputs: Sequence[Inputs] = ()

    def put(self, inputs: Sequence[Inputs]) -> None:
        """Take what an update consists of, or a step of an evaluation."""
        self._inputs = inputs

    def __getitem__(self, number: Tensor) -> Inputs:
        return self._inputs[int(number)]

    def __len__(self) -> int:
        return len(self._inputs)


class Context:
    """What the blocks of a stage are called with besides hidden states; worked out once for each micro-batch."""

    def __init__(self, skeleton: Skeleton, batches: MicroBatches) -> None:
        self._skeleton = skeleton
        self._batches = batches
        self._number: Tensor | None = None
        self._inputs: Inputs | None = None

    def call(self, position: int, hidden: Tensor, number: Tensor) -> tuple[tuple, dict[str, Any]]:
        """Return arguments and keyword arguments of the block at `position` for a micro-batch."""
        if number is not self._number:  # reading it may wait for the device
            self._number, inputs = number, self._batches[number]
            if inputs is not self._inputs:
                self._inputs = inputs
                self._skeleton(inputs, hidden)
        return self._skeleton.call(position)


class First(nn.Module):
    """From a micro-batch's number to the hidden states of its tokens."""

    def __init__(self, skeleton: Skeleton, batches: MicroBatches) -> None:
        super().__init__()
        self.skeleton = skeleton
        self._batches = batches

    def forward(self, number: Tensor) -> Travelling:
        return self.skeleton(self._batches[number]), number


class Block(nn.Module):
    """A block of the host, called as its base model would call it."""

    def __init__(self, block: nn.Module, position: int, context: Context) -> None:
        super().__init__()
        self.block = block
        self._position = position
        self._context = context

    def forward(self, travelling: Travelling) -> Travelling:
        hidden, number = travelling
        args, kwargs = self._context.call(self._position, hidden, number)
        return self.block(hidden, *args, **kwargs), number


class Last(nn.Module):
    """From hidden states to the loss of a micro-batch."""

    def __init__(self, tail: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.tail = tail
        self._loss = loss

    def forward(self, travelling: Travelling) -> Tensor:
        hidden, number = travelling
        return self._loss(self.tail, hidden, int(number))


class Tied(TiedLayerSpec):
    """A module at both ends of the pipeline, whose gradients DeepSpeed adds up; what uses it stands beside it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__("embedding", type(module), forward_fn=_pass)
        self._module = module

    def build(self, log: bool = False) -> nn.Module:
        return self._module


def _pass(_: nn.Module, inputs: Any) -> Any:
    return inputs


class StagedModule(PipelineModule):
    """DeepSpeed's pipeline module, cut where we cut it, and with weights that are saved beside the engine's state.

    Args:
        layers: All of them, with the weights of other stages on the meta device.
        cuts: Numbers of the layers at which stages begin, and their number.
        interval: Number of layers whose activations are computed again together in the backward pass; 0 keeps all.
        load: Reads this stage's weights from a checkpoint's folder.
    """

    def __init__(
        self,
        layers: Sequence[Any],
        cuts: Sequence[int],
        *,
        interval: int,
        load: Callable[[Path], None],
    ) -> None:
        self._cuts, self._load = list(cuts), load
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its layers
            super().__init__(
                layers,
                num_stages=len(cuts) - 1,
                activation_checkpoint_interval=interval,
                checkpointable_layers=[Block.__name__],
                dynamic_shape=True,
            )

    def _partition_layers(self, method: str = "") -> None:
        self.parts = self._cuts
        stage = self._topo.get_coord(self.global_rank).pipe
        self._set_bounds(start=self.parts[stage], stop=self.parts[stage + 1])

    def save_state_dict(self, *args: Any, **kwargs: Any) -> None:
        """Leave the weights out of the engine's state: the host's own files hold them."""

    def load_state_dir(self, load_dir: str, *args: Any, **kwargs: Any) -> None:
        self._load(Path(load_dir).parent)
        self._synchronize_tied_weights()

    @torch.no_grad()
    def _synchronize_tied_weights(self) -> None:
        super()._synchronize_tied_weights()


def build_layers(model: nn.Module, plan: PipelinePlan, batches: MicroBatches, loss: Loss) -> list[Any]:
    """Make the layers of a whole pipeline; one that holds the embedding stands at either end, where that is tied.

    Args:
        model: With the weights of this stage; those of others may be on the meta device.
        plan: Its plan.
        batches: Where each stage finds the inputs of a micro-batch.
        loss: Of a micro-batch.
    """
    context = Context(Skeleton(model, plan, embeds=False), batches)
    blocks = [Block(block, number, context) for number, block in enumerate(getattr(base_of(model), plan.blocks))]
    first, last = First(Skeleton(model, plan, embeds=True), batches), Last(tail_of(model, plan), loss)
    layers: list[Any] = [first, *blocks, last]
    if is_tied(model):
        embedding = Tied(causal_lm_of(model).get_input_embeddings())
        layers = [embedding, *layers, embedding]
    return layers


def cut_layers(model: nn.Module, cuts: Sequence[int]) -> list[int]:
    """Turn numbers of units, as `split_units` gives them, into those of `build_layers`' layers."""
    tied = int(is_tied(model))
    return [0, *(cut + tied for cut in cuts[1:-1]), cuts[-1] + 2 * tied]


def is_tied(model: nn.Module) -> bool:
    """Tell whether a model's head and its embedding are one weight."""
    inner = causal_lm_of(model)
    head = inner.get_output_embeddings()
    return head is not None and head.weight is inner.get_input_embeddings().weight
