"""What every objective on the shelf keeps to, whatever it computes."""

import inspect
from functools import partial

import pytest
import torch

from hf_strategies.objectives import OBJECTIVES, check_objective_settings
from hf_strategies.objectives.items import COUNTED
from hf_strategies.objectives.settings import RANGES

SETTINGS = {
    "label_smoothing": 0.1,
    "class_weights": [0.5, 1.0, 4.0],
    "gamma": 1.5,
    "positive_weights": [0.5, 1.0, 4.0],
    "delta": 0.5,
}
# Eight rows of each kind of labels; some rows have none.
LABELS = {
    "classes": torch.tensor([0, 1, 2, -100, 1, -100, -100, 0]),
    "flags": torch.tensor([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, -100]] * 2),
    "values": torch.linspace(-100, 2, 24).view(8, 3),
}


@pytest.fixture(params=OBJECTIVES.names())
def objective(request):
    return OBJECTIVES[request.param]


def bound(objective):
    return partial(objective.build, **{name: SETTINGS[name] for name in objective.facts["hyperparameters"]})


@pytest.fixture
def logits():
    return torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)


def gradient(loss, logits):
    return torch.autograd.grad(loss, logits)[0]


def test_there_is_something_to_check():
    assert len(OBJECTIVES.names()) == 5


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_parts_of_a_batch_add_up_to_the_whole(objective, logits, size):
    compute, labels = bound(objective), LABELS[objective.facts["items"]]
    num_items = COUNTED[objective.facts["items"]](labels).sum()
    parts = [compute(rows, marks, num_items=num_items) for rows, marks in zip(logits.split(size), labels.split(size))]
    whole = compute(logits, labels)
    torch.testing.assert_close(sum(parts), whole)
    torch.testing.assert_close(gradient(sum(parts), logits), gradient(whole, logits))


@pytest.mark.parametrize("name", [entry.name for entry in OBJECTIVES if entry.facts["items"] != "values"])
def test_a_part_without_labels_is_zero_and_no_division_by_zero(name, logits):
    labels = torch.full_like(LABELS[OBJECTIVES[name].facts["items"]], -100)
    assert bound(OBJECTIVES[name])(logits, labels).item() == 0.0


def test_half_precision_is_computed_in_float32(objective, logits):
    compute, labels = bound(objective), LABELS[objective.facts["items"]]
    rounded = (1000 * logits.detach()).bfloat16()
    found = compute(rounded, labels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, compute(rounded.float(), labels))


def test_lists_and_tensors_of_weights_are_alike(objective, logits):
    labels = LABELS[objective.facts["items"]]
    given = {name: SETTINGS[name] for name in objective.facts["hyperparameters"]}
    tensors = {name: torch.tensor(value) for name, value in given.items()}
    torch.testing.assert_close(objective.build(logits, labels, **given), objective.build(logits, labels, **tensors))


def test_its_settings_are_those_of_its_signature_each_with_a_range(objective):
    named = inspect.signature(objective.build).parameters
    settings = [name for name, found in named.items() if found.kind is found.KEYWORD_ONLY and name != "num_items"]
    assert tuple(settings) == objective.facts["hyperparameters"]
    assert set(settings) <= RANGES.keys()
    check_objective_settings(objective.name, {name: SETTINGS[name] for name in settings})


def test_evaluations_show_an_objective_of_the_same_labels(objective):
    assert OBJECTIVES[objective.facts["evaluated_by"]].facts["items"] == objective.facts["items"]
