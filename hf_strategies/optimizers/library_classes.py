"""Optimizers of the package pytorch_optimizer by the names of their classes."""

from __future__ import annotations

import importlib.util
import inspect
from typing import Any

from torch.optim import Optimizer

from hf_strategies.errors import MissingPackageError, UserError, did_you_mean, first_line
from hf_strategies.optimizers.whole_tensors import expect_whole_tensors, refuse_dtensors

OURS = ("self", "params", "lr", "weight_decay")


def pytorch_optimizer_class(name: str, groups: list[dict], /, lr: float, **hyper: Any) -> Optimizer:
    """Build an optimizer of the package pytorch_optimizer, with its own words for its settings.

    Weight decay is decoupled where the class leaves the choice.

    Args:
        name: Of the class, in any case.
        groups: Parameter groups.
        lr: Learning rate.
        hyper: Arguments of the class.

    Raises:
        UserError: There is no such class, it cannot run in a Trainer's loop, it has no such argument or refuses its
            value; a tensor is sharded: a flat shard is seen at the first step.
    """
    build = _find_class(name)
    name, accepted = build.__name__, [argument.name for argument in _arguments(build)]
    _refuse_other_loops(name, build, accepted)
    for key in hyper:
        if key not in accepted or key in OURS:
            known = [word for word in accepted if word not in OURS]
            guess = did_you_mean(key, known)
            raise UserError(f"pytorch_optimizer:{name} has no setting {key!r}{guess} (known: {', '.join(known)})")
    refuse_dtensors(groups, f"pytorch_optimizer:{name}")
    if "weight_decay" in accepted:
        hyper["weight_decay"] = 0.0  # each group has its own
    elif any(group.get("weight_decay") for group in groups):
        raise UserError(f"pytorch_optimizer:{name} has no weight decay: set weight_decay to 0")
    if "weight_decouple" in accepted:
        hyper = {"weight_decouple": True, **hyper}
    try:
        optimizer = build(groups, lr=lr, **hyper)
    except (ImportError, TypeError, ValueError) as error:
        raise UserError(f"pytorch_optimizer:{name}: {first_line(error)}") from error
    return expect_whole_tensors(optimizer, f"pytorch_optimizer:{name}")


def class_settings(name: str) -> list[inspect.Parameter]:
    """List what may be set on an optimizer of the package, besides what every optimizer is given.

    Raises:
        UserError: There is no such class, or no such package.
    """
    if importlib.util.find_spec("pytorch_optimizer") is None:
        raise MissingPackageError("pytorch_optimizer", "optimizers", f"optimizer 'pytorch_optimizer:{name}'")
    return [argument for argument in _arguments(_find_class(name)) if argument.name not in OURS]


def _find_class(name: str) -> type[Optimizer]:
    from pytorch_optimizer.optimizer import OPTIMIZERS

    classes = {found.__name__: found for found in OPTIMIZERS.values()}
    lowered = {known.lower(): known for known in classes}
    if name.lower() not in lowered:
        raise UserError(f"pytorch_optimizer has no optimizer {name!r}{did_you_mean(name, classes)}")
    return classes[lowered[name.lower()]]


def _arguments(build: type[Optimizer]) -> list[inspect.Parameter]:
    """List the arguments that a class names; what it takes besides, it may drop."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [found for found in inspect.signature(build.__init__).parameters.values() if found.kind in named]


def _refuse_other_loops(name: str, build: type[Optimizer], accepted: list[str]) -> None:
    """Refuse what needs more from its loop than parameters, their gradients and a learning rate."""
    step = inspect.signature(build.step).parameters
    needs = [word for word in step if word not in ("self", "closure")]
    if accepted[1] != "params":
        needs.append(f"a {accepted[1]}")
    if "lr" not in accepted:
        needs.append("to set its own learning rate")
    if step["closure"].default is inspect.Parameter.empty or "NoClosureError" in inspect.getsource(build.step):
        needs.append("a closure")
    if "use_muon" in inspect.getsource(build):
        needs.append("parameters marked use_muon")
    if needs:
        raise UserError(f"pytorch_optimizer:{name} needs {' and '.join(needs)}, which a Trainer does not give it")
