"""What is said of a run's states, against the tensors that a run really has."""

from dataclasses import replace

import pytest
import torch

from hf_strategies.arguments.topics import StrategyArguments
from hf_strategies.optimizers import OPTIMIZERS, create_optimizer
from hf_strategies.runs.state_memory import States, count_states

OWN = ("adamw", "lamb", "lion", "muon", "sgd", "adafactor")


def tensor_bytes(tensors) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@pytest.mark.parametrize("name", OWN)
def test_states_are_the_bytes_of_a_runs_tensors(name, tiny_lm, token_rows):
    strategy = StrategyArguments(optimizer=name)
    counted = count_states(tiny_lm, strategy, lr=1e-3)
    optimizer = create_optimizer(name, tiny_lm, lr=1e-3)
    ids = token_rows[0]["input_ids"][None]
    tiny_lm(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    kept = [value for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
    numbers = 8 * sum(value.numel() == 1 for value in kept)  # counts of steps are left out
    assert counted.optimizer == pytest.approx(tensor_bytes(kept), abs=numbers)
    assert counted.gradients == tensor_bytes(param.grad for param in tiny_lm.parameters())
    assert counted.weights == tensor_bytes([*tiny_lm.parameters(), *tiny_lm.buffers()])


def test_what_is_frozen_has_weights_alone(tiny_lm):
    whole = count_states(tiny_lm, StrategyArguments(optimizer="adamw"), lr=1e-3)
    tiny_lm.get_input_embeddings().weight.requires_grad_(False)
    half = count_states(tiny_lm, StrategyArguments(optimizer="adamw"), lr=1e-3)
    frozen = 258 * 16
    assert half == replace(
        whole,
        gradients=whole.gradients - 4 * frozen,
        optimizer=whole.optimizer - 8 * frozen,
        trained=whole.trained - frozen,
        frozen=frozen,
    )


def test_an_optimizer_that_does_not_say_is_taken_for_adam(tiny_lm):
    adam = count_states(tiny_lm, StrategyArguments(optimizer="adamw"), lr=1e-3)
    assert "state_bytes" not in OPTIMIZERS["pytorch_optimizer:Adan"].facts
    for name in ("pytorch_optimizer:Adan", None):
        assert count_states(tiny_lm, StrategyArguments(optimizer=name), lr=1e-3) == adam


def test_two_snapshots_are_kept_where_they_fit_in_a_gibibyte():
    states = States(weights=100, gradients=100, optimizer=200, trained=25, frozen=0)
    assert states.snapshots(10) == 600
    assert states.snapshots(0) == 0
    assert replace(states, weights=2**29 + 1).snapshots(10) == 0
    assert replace(states, weights=2**29).snapshots(10) == 2**29  # the first, before there is an optimizer's state
