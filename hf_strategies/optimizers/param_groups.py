"""A model's trainable parameters as optimizer groups: each parameter in exactly one."""

import math
from typing import Any

from torch import nn

from hf_strategies.distributed.zero import full_shape
from hf_strategies.errors import UserError
from hf_strategies.module_tree.dynamics import dynamic_parameters
from hf_strategies.module_tree.embeddings import embedding_parameters, input_embeddings
from hf_strategies.module_tree.layer_depth import layer_depths
from hf_strategies.module_tree.names import named_parameters
from hf_strategies.optimizers.group_spec import ADAMW, MATRIX, GroupRule, GroupSpec
from hf_strategies.optimizers.matrices import Layout, matrix_layouts, whole_matrix
from hf_strategies.optimizers.rule_matching import match_rules

NO_RULE = GroupRule(pattern="")
LORA_B = "lora_B"  # PEFT's name of the factor that starts at zero


def create_param_groups(
    model: nn.Module, spec: GroupSpec, *, optimizer: str, lr: float, weight_decay: float, adamw_lr: float | None = None
) -> list[dict[str, Any]]:
    """Put each trainable parameter into the group of those that are trained alike; tied weights count once.

    Vectors and scalars (norms, biases) are not decayed, nor is what says how a layer remembers (Mamba's `A_log`,
    RWKV's mixes, Hyena's filters). Layer-wise decay as in BEiT (https://arxiv.org/abs/2106.08254): the output is
    trained at the full rate, a block at a share of the rate above it, embeddings at the lowest. LoRA+:
    https://arxiv.org/abs/2402.12354. Gradual unfreezing, from the top: ULMFiT, https://arxiv.org/abs/1801.06146,
    section 3.3.

    Args:
        model: The whole model, wrapped or not.
        spec: How rates and decay differ.
        optimizer: Its name, for the table of groups and for messages.
        lr: Base rate; of the matrices, where the optimizer treats these apart.
        weight_decay: Of what is decayed.
        adamw_lr: Base rate of everything but the matrices; None: the optimizer has no matrix half.

    Returns:
        Groups, each with `params`, a readable `name`, its base `lr`, `weight_decay`, `optimizer` (what updates it),
        `num_tensors` and `num_parameters` (whole, also of shards). Those of an optimizer with a matrix half say
        `matrix`, and for matrices `layouts`, one for each of `params`; those that join late say `joins_after`: how
        many intervals, and how long one is. First stands a group that trains from the start and whose rate is nearest
        to `lr`, since it is the first one's that Trainer logs; then they follow the model.

    Raises:
        UserError: Nothing trains; a rule matches nothing, or what another one matches; there are no layers to tell
            apart, no LoRA factors, or no matrices for the half that takes them.
    """
    roles = _Roles(model, spec, has_matrix_half=adamw_lr is not None)
    if not roles.trainable:
        raise UserError(
            f"optimizer {optimizer!r} has nothing to train: every parameter of {type(model).__name__} is frozen"
        )
    groups: dict[tuple, dict[str, Any]] = {}
    for name, param in roles.trainable.items():
        layout = roles.layout(name)
        base_lr, updater = (lr, optimizer) if adamw_lr is None or layout is not None else (adamw_lr, ADAMW)
        traits = {
            "name": roles.label(name),
            "lr": roles.rate(name, base_lr),
            "weight_decay": roles.decay(name, weight_decay),
            "optimizer": updater,
        }
        fresh = {**traits, **roles.start(name), "num_tensors": 0, "num_parameters": 0, "params": []}
        group = groups.setdefault(tuple(traits.values()), fresh)
        group["params"].append(param)
        group["num_tensors"] += 1
        group["num_parameters"] += math.prod(full_shape(param))
        if adamw_lr is not None:
            group["matrix"] = layout is not None
        if layout is not None:
            group.setdefault("layouts", []).append(layout)
    if adamw_lr is not None and not any(group["matrix"] for group in groups.values()):
        if roles.layouts:  # rules have taken them
            patterns = dict.fromkeys(roles.rules[name].pattern for name in roles.rules)
            raise UserError(
                f"{optimizer} owns 0 parameters: param_groups gives every hidden matrix to {ADAMW} "
                f"({', '.join(map(repr, patterns))}); let the rules find fewer, or use optimizer adamw"
            )
        thin = any(len(full_shape(param)) == 2 and 1 in full_shape(param) for param in roles.trainable.values())
        why = " (a factor of rank 1 is a vector)" if thin else ""
        raise UserError(
            f"{optimizer} owns 0 parameters: {type(model).__name__} has no trainable hidden matrix{why}; use adamw"
        )
    logged = min(
        groups.values(), key=lambda group: ("joins_after" in group, "layouts" not in group, abs(group["lr"] - lr))
    )
    return [logged, *(group for group in groups.values() if group is not logged)]


class _Roles:
    """What each trainable parameter, by its name, is in a model, and what the specification makes of it."""

    def __init__(self, model: nn.Module, spec: GroupSpec, *, has_matrix_half: bool) -> None:
        params = named_parameters(model)
        self.spec = spec
        self.trainable = {name: param for name, param in params.items() if param.requires_grad}
        self.rules = match_rules(spec.rules, params)
        self.layouts = matrix_layouts(model) if has_matrix_half else {}
        self.embeddings, self.dynamics = input_embeddings(model), dynamic_parameters(model)
        self.heads = embedding_parameters(model) - self.embeddings
        self.depths: dict[nn.Parameter, int] = {}
        self.output = 0
        by_depth = [name for name in ("layerwise_lr_decay", "unfreeze_every") if getattr(spec, name) is not None]
        if by_depth:
            self.depths, self.output = layer_depths(model, needed_by=by_depth[0], instead="give rules instead")
        self.highest = min(map(self._depth_below, self.trainable), default=0) if spec.unfreeze_every else 0
        if spec.lora_plus_ratio is not None and not any(map(self._is_lora_b, self.trainable)):
            raise UserError(f"lora_plus_ratio finds no trainable LoRA factor {LORA_B} in {type(model).__name__}")

    def layout(self, name: str) -> Layout | None:
        """Return how the matrix half sees a parameter; None if it is not its own."""
        param, half = self.trainable[name], self._rule(name).optimizer
        if half == MATRIX and param not in self.layouts:
            shape = list(full_shape(param))
            if len(shape) != 2:
                raise UserError(
                    f"param_groups rule {self._rule(name).pattern!r} makes a matrix of {name}, whose shape is {shape}"
                )
            return whole_matrix(shape)
        return None if half == ADAMW else self.layouts.get(param)

    def rate(self, name: str, base: float) -> float:
        """Return a parameter's base rate, given that of its half."""
        rule, spec = self._rule(name), self.spec
        if rule.lr is not None:
            return rule.lr
        rate = base if rule.lr_scale is None else base * rule.lr_scale
        if spec.layerwise_lr_decay is not None:
            rate *= spec.layerwise_lr_decay ** (self.output - self.depths[self.trainable[name]])
        if spec.lora_plus_ratio is not None and self._is_lora_b(name):
            rate *= spec.lora_plus_ratio
        return rate

    def decay(self, name: str, base: float) -> float:
        """Return a parameter's weight decay."""
        rule, param = self._rule(name), self.trainable[name]
        if rule.weight_decay is not None:
            return rule.weight_decay
        spared = self._is_vector(param) or param in self.dynamics
        spared = spared or (param in self.embeddings and not self.spec.decay_embeddings)
        return 0.0 if spared else base

    def start(self, name: str) -> dict[str, Any]:
        """Return when a parameter joins, as its group keeps it; nothing where it trains from the start."""
        if self.spec.unfreeze_every is None:
            return {}
        intervals = self._depth_below(name) - self.highest  # something trains at once
        return {"joins_after": [intervals, self.spec.unfreeze_every]} if intervals else {}

    def _depth_below(self, name: str) -> int:
        """Return how far a parameter stands below what trains from the start."""
        return max(self.output - self.depths[self.trainable[name]] - self.spec.unfrozen_at_start, 0)

    def label(self, name: str) -> str:
        """Say in a few words what a parameter is and what sets it apart."""
        param, words = self.trainable[name], []
        if self.depths:
            depth = self.depths[param]
            words.append({0: "input", self.output: "output"}.get(depth, f"block {depth - 1}"))
        if self.spec.lora_plus_ratio is not None and self._is_lora_b(name):
            words.append(LORA_B)
        words.append(self._kind(name))
        if name in self.rules:
            words.append(f"matching {self.rules[name].pattern}")
        return " ".join(words)

    def _kind(self, name: str) -> str:
        param = self.trainable[name]
        if self.layout(name) is not None:
            return "matrices"
        if self._is_vector(param):
            return "vectors"
        if param in self.dynamics:
            return "dynamics"
        return "embeddings" if param in self.embeddings else "head" if param in self.heads else "weights"

    def _rule(self, name: str) -> GroupRule:
        return self.rules.get(name, NO_RULE)

    @staticmethod
    def _is_vector(param: nn.Parameter) -> bool:
        return len(full_shape(param)) < 2

    @staticmethod
    def _is_lora_b(name: str) -> bool:
        return LORA_B in name.split(".")
