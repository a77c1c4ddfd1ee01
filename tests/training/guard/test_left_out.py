import copy

import pytest
import torch

from hf_strategies.errors import MissingPackageError
from hf_strategies.optimizers import OPTIMIZERS, create_optimizer
from hf_strategies.training.guard.left_out import leave_out


def backward(model):
    rows = torch.randint(0, 250, (2, 8))
    model(input_ids=rows, labels=rows).loss.backward()


def values(state):
    """List what a state consists of, tensors as lists."""
    if isinstance(state, dict):
        return {key: values(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [values(value) for value in state]
    return state.tolist() if isinstance(state, torch.Tensor) else repr(state)


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_an_update_that_is_left_out_leaves_every_optimizer_as_it_was(tiny_lm, name):
    try:
        optimizer = create_optimizer(name, tiny_lm, lr=1e-3)
    except MissingPackageError as error:
        pytest.skip(str(error))
    if hasattr(optimizer, "train"):
        optimizer.train()
    for _ in range(2):
        backward(tiny_lm)
        optimizer.step()
        optimizer.zero_grad()
    before = copy.deepcopy((values(optimizer.state_dict()), values(tiny_lm.state_dict())))
    backward(tiny_lm)
    leave_out(tiny_lm, optimizer, None)
    optimizer.step()
    assert (values(optimizer.state_dict()), values(tiny_lm.state_dict())) == before
    backward(tiny_lm)
    optimizer.step()
    assert values(tiny_lm.state_dict()) != before[1]  # it is the next step alone that was left out
