import math

import pytest
import torch
from torch.nn import functional as F
from transformers.trainer_pt_utils import LabelSmoother

from hf_strategies.errors import UserError
from hf_strategies.objectives.classification import binary_cross_entropy, cross_entropy, focal

WEIGHTS = [0.5, 1.0, 4.0]


@pytest.fixture
def logits():
    return 3 * torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labels():
    """Ten tokens of two rows, two of them without a class."""
    return torch.tensor([[0, 1, 2, -100, 1], [2, 2, -100, 0, 1]])


def textbook(logits, labels, *, smoothing=0.0, gamma=0.0, weights=(1.0, 1.0, 1.0)):
    """Position by position and class by class, in Python's numbers."""
    total, count = 0.0, 0
    for scores, label in zip(logits.reshape(-1, 3).tolist(), labels.flatten().tolist(), strict=True):
        if label == -100:
            continue
        normalizer = sum(math.exp(score) for score in scores)
        for number, score in enumerate(scores):
            p = math.exp(score) / normalizer
            share = (number == label) * (1 - smoothing) + smoothing / 3
            total -= share * weights[number] * (1 - p) ** gamma * math.log(p)
        count += 1
    return total / count


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_is_the_textbooks(logits, labels, smoothing, weights):
    found = cross_entropy(logits, labels, label_smoothing=smoothing, class_weights=weights)
    expected = textbook(logits, labels, smoothing=smoothing, weights=weights or (1, 1, 1))
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_unweighted_cross_entropy_is_torchs_mean_and_smoothing_is_the_hosts(logits, labels):
    flat = logits.flatten(0, -2), labels.flatten()
    assert cross_entropy(logits, labels).item() == pytest.approx(F.cross_entropy(*flat).item(), rel=1e-12)
    hosts = LabelSmoother(epsilon=0.2)({"logits": logits}, labels.clone())
    assert cross_entropy(logits, labels, label_smoothing=0.2).item() == pytest.approx(hosts.item(), rel=1e-6)


def test_weights_scale_items_and_not_what_they_are_divided_by():
    logits = torch.zeros(2, 2)  # log 2 each
    found = cross_entropy(logits, torch.tensor([0, 1]), class_weights=[1.0, 3.0])
    assert found.item() == pytest.approx((1 + 3) * math.log(2) / 2)


@pytest.mark.parametrize("loss", [cross_entropy, focal])
def test_a_soft_label_is_the_mixture_of_hard_ones(loss, logits):
    """Mixup's label: 0.7 of one class and 0.3 of another."""
    rows = logits[0]
    first, second = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([1, 1, 0, 2, 0])
    mixed = 0.7 * F.one_hot(first, 3).double() + 0.3 * F.one_hot(second, 3).double()
    expected = 0.7 * loss(rows, first, class_weights=WEIGHTS) + 0.3 * loss(rows, second, class_weights=WEIGHTS)
    torch.testing.assert_close(loss(rows, mixed, class_weights=WEIGHTS), expected)
    torch.testing.assert_close(loss(rows, mixed.float()), 0.7 * loss(rows, first) + 0.3 * loss(rows, second))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_is_the_textbooks(logits, labels, gamma):
    found = focal(logits, labels, gamma=gamma, class_weights=WEIGHTS)
    assert found.item() == pytest.approx(textbook(logits, labels, gamma=gamma, weights=WEIGHTS), rel=1e-12)


def test_focal_of_two_classes_is_the_papers_sigmoid_form():
    """Equation 5 with alpha 0.25, y = 1 and -1, and the hand value at p = 0.9: 0.01 of the cross entropy."""
    scores, present = torch.tensor([-2.0, 0.3, 1.7]), torch.tensor([1, 0, 1])
    p = torch.where(present == 1, scores.sigmoid(), 1 - scores.sigmoid())
    alpha = torch.where(present == 1, 0.25, 0.75)
    expected = (-alpha * (1 - p) ** 2 * p.log()).mean()
    two = torch.stack([torch.zeros(3), scores], dim=-1)
    torch.testing.assert_close(focal(two, present, class_weights=[0.75, 0.25]), expected)
    sure = torch.tensor([[0.0, math.log(9.0)]])
    assert focal(sure, torch.tensor([1])).item() == pytest.approx(-0.01 * math.log(0.9), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_has_a_finite_gradient_where_a_probability_rounds_to_one(gamma):
    logits = torch.tensor([[40.0, 0.0], [0.0, 40.0]], requires_grad=True)
    focal(logits, torch.tensor([0, 0]), gamma=gamma).backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[1].tolist() == pytest.approx([-0.5, 0.5])


def test_binary_cross_entropy_counts_each_class_and_leaves_out_the_unknown():
    logits = torch.zeros(2, 2)
    labels = torch.tensor([[1.0, 0.0], [-100.0, 1.0]])
    assert binary_cross_entropy(logits, labels).item() == pytest.approx(math.log(2))
    weighted = binary_cross_entropy(logits, labels, positive_weights=[3.0, 1.0])
    assert weighted.item() == pytest.approx((3 + 1 + 1) * math.log(2) / 3)


def test_binary_cross_entropy_is_torchs_with_its_weights(logits):
    labels = (logits > 0.5).int()
    theirs = F.binary_cross_entropy_with_logits(logits, labels.double(), pos_weight=torch.tensor(WEIGHTS))
    assert binary_cross_entropy(logits, labels, positive_weights=WEIGHTS).item() == pytest.approx(theirs.item())


@pytest.mark.parametrize(
    ("loss", "labels", "setting"),
    [
        (cross_entropy, torch.tensor([0]), "class_weights"),
        (focal, torch.tensor([0]), "class_weights"),
        (binary_cross_entropy, torch.tensor([[0, 1, 1]]), "positive_weights"),
    ],
)
def test_weights_of_other_classes_are_refused(loss, labels, setting):
    with pytest.raises(UserError, match=f"{setting} must be 3 numbers, one per class, got 2"):
        loss(torch.zeros(1, 3), labels, **{setting: [1.0, 2.0]})


def test_flags_of_another_shape_are_refused():
    with pytest.raises(UserError, match=r"one flag per class, of shape \[4, 3\], got shape \[4\]"):
        binary_cross_entropy(torch.zeros(4, 3), torch.zeros(4))
