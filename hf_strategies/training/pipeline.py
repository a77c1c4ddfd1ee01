"""A model's stage on DeepSpeed's pipeline engine, as a trainer uses it."""

import copy
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from hf_strategies.distributed.pipeline.place import Place
from hf_strategies.distributed.pipeline.plan import own_units, pipeline_plan, split_units, units_of
from hf_strategies.distributed.pipeline.weights import leave_to_other_stages, names_of_stages
from hf_strategies.errors import UserError

Loss = Callable[[nn.Module, Tensor, int], Tensor]


class Pipeline:
    """This process' stage of a model, and the engine that runs it.

    Args:
        model: The whole model; it is left with the weights of this stage alone.
        place: Of this process.
        settings: DeepSpeed's.
        load: Reads this stage's weights from a checkpoint's folder.

    Raises:
        UserError: The model cannot be split like this.
    """

    def __init__(
        self, model: nn.Module, place: Place, settings: Mapping[str, Any], *, load: Callable[[Path], None]
    ) -> None:
        self.place = place
        self.engine: Any = None
        self._model, self._load = model, load
        self._options = settings.get("pipeline") or {}
        self._plan = pipeline_plan(model)
        units = units_of(model, self._plan)
        self.cuts = split_units(units, place.stages, place.partition)
        check_all_learn(units, self.cuts)
        self.names = names_of_stages(model, units, self.cuts)
        leave_to_other_stages(model, own_units(model, self._plan, place))

    def start(self, settings: Mapping[str, Any], optimizer: Optimizer | None, *, loss: Loss) -> None:
        """Build the engine.

        Args:
            settings: DeepSpeed's, without a word that is still "auto".
            optimizer: Of this stage's parameters; None to evaluate alone.
            loss: Of a micro-batch, given the module behind the last block, its hidden states, and its number.
        """
        import deepspeed

        from hf_strategies.distributed.pipeline.stages import MicroBatches, StagedModule, build_layers, cut_layers

        deepspeed.init_distributed(distributed.get_backend())  # over the processes that have found each other
        self.batches = MicroBatches()

        def scaled(tail: nn.Module, hidden: Tensor, number: int) -> Tensor:
            return (
                loss(tail, hidden, number) * self.engine.gradient_accumulation_steps()
            )  # by which the engine divides

        module = StagedModule(
            build_layers(self._model, self._plan, self.batches, scaled),
            cut_layers(self._model, self.cuts),
            interval=self._options.get("activation_checkpoint_interval", 0),
            load=self._load,
        )
        own = {name: value for name, value in settings.items() if optimizer is not None or name != "zero_optimization"}
        self.engine, *_ = deepspeed.initialize(model=module, optimizer=optimizer, config=own)
        if optimizer is not None:
            if hasattr(self.engine.optimizer, "scaled_global_norm"):  # the one that adds up bf16 in float32 is right
                norm_over_stages(self.engine)
            name_as_in(self._model, self.engine)

    def train(self, inputs: Sequence[Mapping[str, Any]]) -> Tensor:
        """Train on an update's micro-batches; return the sum of their losses, its mean over the replicas."""
        self.engine.micro_batches = len(inputs)
        return self.engine.train_batch(self._numbers(inputs))

    def evaluate(self, inputs: Sequence[Mapping[str, Any]]) -> None:
        """Run micro-batches through all stages without learning from them."""
        self.engine.eval_batch(
            self._numbers(inputs), reduce_output=None, bcast_loss=False, num_micro_batches=len(inputs)
        )

    def tell_stages(self, found: Any) -> Any:
        """Return on all stages of a replica what its last one has found."""
        told = [found]
        source = (self.place.stages - 1) * self.place.replicas + self.place.replica
        distributed.broadcast_object_list(told, src=source, group=self.engine.grid.get_pipe_parallel_group())
        return told[0]

    def _numbers(self, inputs: Sequence[Mapping[str, Any]]) -> Any:
        self.batches.put(inputs)
        return iter([(torch.tensor(number), torch.tensor(number)) for number in range(len(inputs))])


def check_all_learn(units: Sequence[nn.Module], cuts: Sequence[int]) -> None:
    """Refuse stages without a parameter that is trained: ZeRO would have nothing to do there.

    Raises:
        UserError: There is one.
    """
    for number, (start, end) in enumerate(pairwise(cuts), start=1):
        if not any(param.requires_grad for unit in units[start:end] for param in unit.parameters()):
            raise UserError(
                f"stage {number} of {len(cuts) - 1} would have no weight to train: freeze less, or take fewer stages"
            )


def norm_over_stages(engine: Any) -> None:
    """Let an engine's ZeRO optimizer take the gradient's norm over all stages in one collective.

    Its own has one for each parameter group, of which stages need not have equally many.
    """
    optimizer, group = engine.optimizer, engine.grid.get_pipe_parallel_group()
    theirs = optimizer.scaled_global_norm

    def norm(self: Any, *args: Any, **kwargs: Any) -> Tensor:
        of_all, self.model_parallel_group = self.model_parallel_group, None
        try:
            square = theirs(*args, **kwargs).square()
        finally:
            self.model_parallel_group = of_all
        distributed.all_reduce(square, group=group)
        return square.sqrt()

    optimizer.scaled_global_norm = MethodType(norm, optimizer)


def name_as_in(model: nn.Module, engine: Any) -> None:
    """Let an engine save its state under the model's names, which are the same in any number of stages."""
    names = {param: name for name, param in model.named_parameters()}
    optimizer = engine.optimizer
    engine.param_names = optimizer.param_names = {param: names[param] for param in engine.param_names}
    optimizer._param_slice_mappings = optimizer._create_param_mapping()


def resolved_settings(settings: Mapping[str, Any], *, micro_batch: int, accumulation: int, replicas: int) -> dict:
    """Return DeepSpeed's settings with the sizes of an update, of which the host's own count all processes."""
    resolved = copy.deepcopy(dict(settings))
    # The reentrant way gives no gradient to a block whose input needs none, such as the first above frozen embeddings.
    resolved["pipeline"] = {"use_reentrant": False, **(resolved.get("pipeline") or {})}
    resolved |= {
        "train_micro_batch_size_per_gpu": micro_batch,
        "gradient_accumulation_steps": accumulation,
        "train_batch_size": micro_batch * accumulation * replicas,
        "zero_allow_untested_optimizer": True,
    }
    return resolved
