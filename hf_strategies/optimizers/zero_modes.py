"""A schedule-free optimizer inside DeepSpeed's: its two sets of weights reach the model, and its counters stay right.

Such an optimizer moves the weights that it owns between those that train and their average. Under ZeRO it owns a share
of them in float32, of which the model's are made. Stage 3 hands it one share at a time, with the other groups empty:
it would count an update once for each.
"""

from collections import Counter
from typing import Any

from hf_strategies.distributed.zero import refresh_weights
from hf_strategies.errors import UserError
from hf_strategies.optimizers.whole_tensors import KNOWS_SHARES


class ZeroModes:
    """Takes the place of an optimizer's `train`, `eval` and `step`.

    Args:
        zero: DeepSpeed's optimizer.
        optimizer: The schedule-free one inside it.

    Raises:
        UserError: Stage 3 has cut a group into several shares.
    """

    def __init__(self, zero: Any, optimizer: Any) -> None:
        self.zero, self.optimizer = zero, optimizer
        self.group_of = getattr(zero, "sub_group_to_group_id", None)  # of stage 3's shares
        if self.group_of is not None and max(Counter(self.group_of.values()).values()) > 1:
            raise UserError(
                "a schedule-free optimizer needs each parameter group in one piece, and ZeRO-3 has cut one: raise "
                "zero_optimization.sub_group_size, or use stage 2"
            )
        setattr(optimizer, KNOWS_SHARES, True)
        self._train, self._eval, self._step = optimizer.train, optimizer.eval, optimizer.step
        optimizer.train, optimizer.eval, optimizer.step = self.train, self.eval, self.step

    def train(self) -> None:
        self._switch(self._train)

    def eval(self) -> None:
        self._switch(self._eval)

    def step(self, *args: Any, **kwargs: Any) -> Any:
        groups = self.optimizer.param_groups
        self.optimizer.param_groups = [group for group in groups if group["params"]]
        try:
            return self._step(*args, **kwargs)
        finally:
            self.optimizer.param_groups = groups

    def _switch(self, switch: Any) -> None:
        groups = self.optimizer.param_groups
        before = [group["train_mode"] for group in groups]
        if self.group_of is None:
            switch()
        else:
            for number, share in enumerate(self.zero.fp32_partitioned_groups_flat):
                groups[self.group_of[number]]["params"] = [share]
            switch()
            for group in groups:
                group["params"] = []
        if before != [group["train_mode"] for group in groups]:
            refresh_weights(self.zero)
