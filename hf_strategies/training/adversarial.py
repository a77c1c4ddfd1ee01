"""Adversarial training of embeddings: examples are learned again where a small step makes them hardest.

Paper: https://arxiv.org/abs/1605.07725 (equations 6 and 7: the fast gradient method). Cost: a second forward and
backward pass; no memory beyond the embeddings of one micro-batch, since the passes come one after the other.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor, nn

from hf_strategies.errors import UserError
from hf_strategies.training.sharpness_aware import accelerators_of


def adversarial_pass(
    model: nn.Module,
    backward: Callable[[], Tensor],
    *,
    epsilon: float,
    alone: Callable[[], AbstractContextManager],
) -> Tensor:
    """Add the gradient of one micro-batch to those that are there, and its gradient with each example moved uphill.

    What moves is the output of the embeddings, from the first word or patch of an example to its last: no weight is
    touched, so that none has to be restored. Both passes draw the same random numbers, and what follows draws as if
    there had been one pass.

    Args:
        model: Any model with input embeddings, frozen ones too; of an encoder-decoder, the encoder's are moved.
        backward: Runs forward and backward on the micro-batch and returns its loss.
        epsilon: Length of an example's step. The paper's 5 is meant for embeddings of unit variance.
        alone: Entered around the first pass, to keep ranks from averaging gradients that the second adds to.

    Returns:
        The loss of the examples as they are.

    Raises:
        UserError: The model has no input embeddings, or does not use them.
    """
    embeddings = input_embeddings(model)
    outputs: list[Tensor] = []

    def keep(output: Tensor) -> Tensor:
        output = output if output.requires_grad else output.detach().requires_grad_()
        output.retain_grad()
        outputs.append(output)
        return output

    kind, devices = accelerators_of(list(model.parameters()))
    with _output_through(embeddings, keep), alone(), torch.random.fork_rng(devices, device_type=kind):
        loss = backward()
    if not outputs:
        raise UserError(f"fgm_epsilon moves input embeddings, and {type(model).__name__} did not use those it names")
    steps = iter([step_uphill(output.grad, epsilon) for output in outputs])
    outputs.clear()
    with _output_through(embeddings, lambda output: output + next(steps)):
        backward()
    return loss


def step_uphill(grad: Tensor | None, epsilon: float) -> Tensor | float:
    """Return the step along each example's gradient that is `epsilon` long; none where the gradient is zero.

    Args:
        grad: Gradient of a loss by embeddings, up to a factor. `[rows, ..., width]`; None for what had no part in it.
        epsilon: Length over an example's words and widths together.
    """
    if grad is None:
        return 0.0
    flat = grad.flatten(1).float()
    # The squares of what a well-learned example leaves would vanish: its largest element becomes 1, and its norm more.
    flat = flat / flat.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(flat.dtype).tiny)
    return (epsilon * flat / flat.norm(dim=1, keepdim=True).clamp(min=1.0)).view_as(grad).to(grad.dtype)


def input_embeddings(model: nn.Module) -> nn.Module:
    """Return the module that embeds a model's inputs, below whatever PEFT has wrapped around it.

    Raises:
        UserError: There is none.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if getattr(getattr(inner, "config", None), "is_encoder_decoder", False):
        inner = inner.get_encoder()
    try:
        return inner.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        raise UserError(f"fgm_epsilon moves input embeddings, and {type(inner).__name__} says of none") from None


@contextmanager
def _output_through(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Let what a module returns go through `change`."""
    hook = module.register_forward_hook(lambda *call: change(call[-1]))
    try:
        yield
    finally:
        hook.remove()
