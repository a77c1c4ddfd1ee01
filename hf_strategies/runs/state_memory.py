"""What a run keeps from its first update to its last, in bytes: weights, gradients, the optimizer's state."""

from dataclasses import dataclass

from torch import nn

from hf_strategies.arguments.topics import StrategyArguments
from hf_strategies.checkpoints.space import ADAM_BYTES
from hf_strategies.optimizers import OPTIMIZERS, resolve_param_groups
from hf_strategies.training.guarding import MAX_SNAPSHOT_BYTES

SNAPSHOTS = 2  # that the step guard keeps


@dataclass(frozen=True, kw_only=True)
class States:
    """Bytes in one process that holds everything, and numbers of elements.

    Args:
        weights: Parameters and buffers.
        gradients: Of what is trained.
        optimizer: Its state; single numbers, such as counts of steps, are left out.
        trained: Elements that are trained.
        frozen: Elements that are not.
    """

    weights: int
    gradients: int
    optimizer: int
    trained: int
    frozen: int

    def snapshots(self, every: int) -> int:
        """Bytes of the states that the step guard keeps to go back to.

        Args:
            every: Updates between snapshots; 0 for none.
        """
        size = self.weights + self.optimizer
        if not every or SNAPSHOTS * self.weights > MAX_SNAPSHOT_BYTES:
            return 0
        # The first one, before the first update, is of weights alone; it stays where later ones do not fit.
        return SNAPSHOTS * size if SNAPSHOTS * size <= MAX_SNAPSHOT_BYTES else self.weights


def count_states(model: nn.Module, strategy: StrategyArguments, *, lr: float) -> States:
    """Count a model's states under an optimizer; a model on the meta device will do.

    An optimizer that does not say what it keeps, and one of the host's, is taken to keep what Adam does.

    Args:
        model: With the adapter that it is to have.
        strategy: Names the optimizer and its groups.
        lr: The run's learning rate, which groups are checked with.

    Raises:
        UserError: The parameter groups do not fit the model.
    """
    params = list(model.parameters())
    trained = [param for param in params if param.requires_grad]
    kept = [*params, *model.buffers()]
    return States(
        weights=sum(tensor.numel() * tensor.element_size() for tensor in kept),
        gradients=sum(param.numel() * param.element_size() for param in trained),
        optimizer=_optimizer_bytes(model, strategy, lr),
        trained=sum(param.numel() for param in trained),
        frozen=sum(param.numel() for param in params if not param.requires_grad),
    )


def _optimizer_bytes(model: nn.Module, strategy: StrategyArguments, lr: float) -> int:
    name = strategy.optimizer
    state_bytes = OPTIMIZERS[name].facts.get("state_bytes") if name is not None else None
    if name is None or state_bytes is None:
        return ADAM_BYTES * sum(param.numel() for param in model.parameters() if param.requires_grad)
    groups = resolve_param_groups(name, model, lr=lr, param_groups=strategy.param_groups)
    return sum(
        state_bytes(param.shape, param.element_size(), group.get("matrix", False))
        for group in groups
        for param in group["params"]
    )
