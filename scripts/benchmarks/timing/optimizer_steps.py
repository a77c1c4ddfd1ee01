"""Time an optimizer's steps beside others' on one model, and count the state that it keeps."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer
from transformers import LlamaConfig, LlamaForCausalLM

from hf_strategies.optimizers import create_optimizer
from hf_strategies.optimizers.matrices import matrix_layouts

LR = 1e-4  # small: the weights stay sane however often the same gradient comes


@dataclass(frozen=True)
class StepTimes:
    """What was found.

    Args:
        seconds: Contender to the time of its step in each turn.
        state_bytes: Contender to its state's bytes per parameter.
        missing: Contender to why it could not be built.
        matrices: Shape to the number of weights of it that Muon owns.
        on_cpu: Whether it was a CPU that they stepped on.
    """

    seconds: dict[str, list[float]]
    state_bytes: dict[str, float]
    missing: dict[str, str]
    matrices: dict[tuple[int, ...], int]
    on_cpu: bool


def time_steps(config: LlamaConfig, *, num_rounds: int, num_warmup_rounds: int) -> StepTimes:
    """Let every contender step in turn, each on weights of its own with the same gradients.

    Args:
        config: The model.
        num_rounds: Timed steps of each contender.
        num_warmup_rounds: Steps before them.
    """
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    model = LlamaForCausalLM(config).to(device)
    gradients = [torch.randn_like(param) for param in model.parameters()]
    found: dict[str, list[Optimizer]] = {}
    missing: dict[str, str] = {}
    for name, build in contenders().items():
        twin = LlamaForCausalLM(config).to(device)
        for param, gradient in zip(twin.parameters(), gradients):
            param.grad = gradient
        try:
            found[name] = build(twin)
        except ImportError as error:
            missing[name] = str(error)
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(num_warmup_rounds + num_rounds):
        for name, optimizers in found.items():
            seconds[name].append(_seconds(optimizers))
    num_parameters = sum(gradient.numel() for gradient in gradients)
    return StepTimes(
        seconds={name: values[num_warmup_rounds:] for name, values in seconds.items()},
        state_bytes={name: sum(map(_state_bytes, optimizers)) / num_parameters for name, optimizers in found.items()},
        missing=missing,
        matrices=Counter(tuple(param.shape) for param in matrix_layouts(model)),
        on_cpu=device.type == "cpu",
    )


def contenders() -> dict[str, Callable[[nn.Module], list[Optimizer]]]:
    """Return what steps, by name; together the optimizers of one contender own every parameter of a model."""

    def torch_adamw(**kind: bool) -> Callable[[nn.Module], list[Optimizer]]:
        return lambda model: [torch.optim.AdamW(model.parameters(), lr=LR, **kind)]

    def ours(name: str) -> Callable[[nn.Module], list[Optimizer]]:
        return lambda model: [create_optimizer(name, model, lr=LR, weight_decay=0.1)]

    return {
        "torch AdamW, fused": torch_adamw(fused=True),
        "torch AdamW, foreach": torch_adamw(foreach=True),
        "torch AdamW, loop": torch_adamw(foreach=False),
        "adamw": ours("adamw"),
        "lion": ours("lion"),
        "lamb": ours("lamb"),
        "pytorch_optimizer Lamb": _their_lamb,
        "muon": ours("muon"),
        "torch Muon + AdamW, fused": _their_muon,
    }


def _their_lamb(model: nn.Module) -> list[Optimizer]:
    from pytorch_optimizer import Lamb

    return [Lamb(model.parameters(), lr=LR, weight_decay=0.1)]


def _their_muon(model: nn.Module) -> list[Optimizer]:
    matrices = matrix_layouts(model)
    rest = [param for param in model.parameters() if param not in matrices]
    return [
        torch.optim.Muon(list(matrices), lr=LR, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=LR, fused=True),
    ]


def _seconds(optimizers: list[Optimizer]) -> float:
    """Time one step of a contender, all of its optimizers."""
    _wait()
    start = time.perf_counter()
    for optimizer in optimizers:
        optimizer.step()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def _state_bytes(optimizer: Optimizer) -> int:
    return sum(
        value.nbytes for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)
    )
