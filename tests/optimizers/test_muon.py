import math

import pytest
import torch
from torch import Tensor, nn

from hf_strategies.errors import UserError
from hf_strategies.optimizers import create_optimizer
from hf_strategies.optimizers.hyperparameters import check_ranges
from hf_strategies.optimizers.matrices import split, whole_matrix
from hf_strategies.optimizers.muon import Muon, muon
from hf_strategies.optimizers.muon_update import SCALINGS, batches_of_one_shape

SHAPES = [(4, 6), (6, 4), (4, 6), (5, 5), (1, 3)]  # wide, tall and square: the first three share a batch


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def quintic_five_times(values: Tensor) -> Tensor:
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return values


def textbook_update(grad, average, momentum):
    """The update by singular value decomposition, which is what the iteration does without one."""
    average = momentum * average + (1 - momentum) * grad
    lookahead = momentum * average + (1 - momentum) * grad
    left, values, right = torch.linalg.svd(lookahead / lookahead.norm(), full_matrices=False)
    return left @ torch.diag(quintic_five_times(values)) @ right, average


def textbook_muon(param, grad, average, *, lr, momentum, weight_decay, scale):
    update, average = textbook_update(grad, average, momentum)
    return param - lr * weight_decay * param - lr * scale * update, average


@pytest.mark.parametrize("scaling", ["rms", "spectral"])
def test_matches_the_textbook_update_with_two_groups_of_different_rate(scaling):
    scales = {
        "rms": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
        "spectral": lambda rows, columns: math.sqrt(max(1, rows / columns)),
    }
    expected = [random(*shape, seed=seed) for seed, shape in enumerate(SHAPES)]
    averages = [torch.zeros_like(matrix) for matrix in expected]
    params = [nn.Parameter(matrix.clone()) for matrix in expected]
    rates = [0.1, 0.1, 0.1, 0.02, 0.02]
    groups = [{"params": params[:3], "lr": 0.1}, {"params": params[3:], "lr": 0.02}]
    optimizer = Muon(groups, lr=1.0, weight_decay=0.3, scaling=scaling)
    for step in range(8):
        grads = [random(*shape, seed=100 * step + place) for place, shape in enumerate(SHAPES, start=10)]
        for param, grad in zip(params, grads):
            param.grad = grad.clone()
        optimizer.step()
        for place, (param, grad) in enumerate(zip(params, grads)):
            hyper = {"lr": rates[place], "momentum": 0.95, "weight_decay": 0.3, "scale": scales[scaling](*grad.shape)}
            expected[place], averages[place] = textbook_muon(expected[place], grad, averages[place], **hyper)
            torch.testing.assert_close(param.detach(), expected[place])
            assert torch.equal(param.grad, grad)  # the gradient belongs to the caller


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon of its own")
@pytest.mark.parametrize(("ours", "theirs"), [("rms", "match_rms_adamw"), ("spectral", "original")])
def test_agrees_with_torch_up_to_the_rounding_of_bf16(ours, theirs):
    start = random(48, 96, dtype=torch.float32)
    mine, host = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    hyper = {"lr": 1.0, "momentum": 0.95, "weight_decay": 0.1}
    optimizers = Muon([mine], scaling=ours, **hyper), torch.optim.Muon([host], adjust_lr_fn=theirs, **hyper)
    mine.grad = host.grad = random(48, 96, seed=1, dtype=torch.float32)
    for optimizer in optimizers:
        optimizer.step()
    # torch multiplies in bf16 (8 bits) everywhere and we where it is faster, in another order: up to eight roundings
    # of 2^-8 measured, relative to the size of the update.
    gap = (mine - host).norm() / (host - start).norm()
    assert gap < 12 * 2**-8


def test_an_update_has_the_size_of_one_by_adamw():
    # A matrix of singular values 1 has the root mean square 1 / sqrt(max(rows, columns)), which the scaling turns
    # into 0.2, AdamW's usual one; the values lie in [0.68, 1.2] instead of at 1.
    for shape in [(24, 64), (64, 24)]:
        param = nn.Parameter(torch.zeros(shape))
        param.grad = random(*shape, dtype=torch.float32)
        Muon([param], lr=1.0).step()
        assert 0.2 * 0.68 < param.square().mean().sqrt() < 0.2 * 1.2


def test_a_zero_gradient_only_decays():
    param = nn.Parameter(torch.ones(3, 4))
    param.grad = torch.zeros(3, 4)
    Muon([param], lr=0.5, weight_decay=0.1).step()
    torch.testing.assert_close(param.detach(), torch.full((3, 4), 0.95))


def test_a_matrix_without_gradient_stays_and_costs_no_memory():
    still, moving = nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.ones(3, 4))
    moving.grad = random(3, 4, dtype=torch.float32)
    optimizer = Muon([still, moving], lr=0.5, weight_decay=0.1)
    optimizer.step()
    assert torch.equal(still, torch.ones(3, 4))
    assert still not in optimizer.state


def test_the_other_half_is_torchs_adamw_bit_for_bit():
    start = [random(7, 3, dtype=torch.float32), random(5, seed=1, dtype=torch.float32)]
    mine, host = ([nn.Parameter(tensor.clone()) for tensor in start] for _ in range(2))
    decays = [0.1, 0.0]
    groups = [{"params": [p], "weight_decay": decay, "matrix": False} for p, decay in zip(mine, decays)]
    ours = Muon(groups, lr=0.01)
    assert all(group["fused"] for group in ours.param_groups)  # the one-pass kernel, as fast as torch's own
    groups = [{"params": [p], "weight_decay": decay} for p, decay in zip(host, decays)]
    theirs = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95), fused=True)
    for step in range(5):
        for pair in zip(mine, host):
            for param in pair:
                param.grad = random(*param.shape, seed=step, dtype=torch.float32)
        ours.step()
        theirs.step()
        for left, right in zip(mine, host):
            assert torch.equal(left, right)


def test_each_half_has_its_rate_and_a_schedule_scales_both():
    model = nn.Sequential(nn.Embedding(8, 4), nn.Linear(4, 3))
    optimizer = create_optimizer("muon", model, lr=4e-3, weight_decay=0.1, adamw_lr=1e-3, adamw_betas=[0.8, 0.9])
    facts = [(g["matrix"], g["lr"], g["weight_decay"]) for g in optimizer.param_groups]
    assert facts == [(True, 4e-3, 0.1), (False, 1e-3, 0.1), (False, 1e-3, 0.0)]
    assert optimizer.param_groups[1]["betas"] == (0.8, 0.9)
    torch.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5)
    assert [g["lr"] for g in optimizer.param_groups] == [2e-3, 5e-4, 5e-4]


def test_without_a_rate_of_its_own_the_other_half_follows():
    groups = [{"params": [nn.Parameter(torch.ones(2, 2))], "matrix": True}]
    groups.append({"params": [nn.Parameter(torch.ones(2))], "matrix": False})
    assert [group["lr"] for group in muon(groups, 0.25).param_groups] == [0.25, 0.25]


FUSED = {
    "three projections in a row": (torch.Size([12, 5]), whole_matrix([12, 5]) | {"parts": [6, 3, 3]}),
    "stored as [inputs, outputs]": (torch.Size([5, 12]), whole_matrix([5, 12], transposed=True) | {"parts": [4, 8]}),
    "interleaved by head": (torch.Size([12, 5]), whole_matrix([12, 5]) | {"groups": 3, "parts": [2, 1, 1]}),
    "gated experts": (torch.Size([3, 8, 5]), whole_matrix([3, 8, 5]) | {"parts": [4, 4]}),
    "interleaved experts": (
        torch.Size([3, 5, 8]),
        whole_matrix([3, 5, 8], transposed=True) | {"groups": 4, "parts": [1, 1]},
    ),
    "a convolution": (torch.Size([4, 3, 2, 2]), whole_matrix([4, 12])),
}


@pytest.mark.parametrize("scaling", ["rms", "spectral"])
@pytest.mark.parametrize(("shape", "layout"), FUSED.values(), ids=FUSED)
def test_a_fused_weight_trains_as_its_matrices_would_alone(shape, layout, scaling):
    fused = nn.Parameter(random(*shape))
    alone = [nn.Parameter(matrix.clone()) for stack in split(fused.detach(), layout) for matrix in stack]
    hyper = {"lr": 0.1, "weight_decay": 0.3, "scaling": scaling}
    optimizers = Muon([{"params": [fused], "layouts": [layout]}], **hyper), Muon(alone, **hyper)
    for step in range(3):
        fused.grad = random(*shape, seed=step + 1)
        for param, grad in zip(alone, (matrix for stack in split(fused.grad, layout) for matrix in stack)):
            param.grad = grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for param, matrix in zip(alone, (matrix for stack in split(fused.detach(), layout) for matrix in stack)):
        torch.testing.assert_close(matrix, param.detach())


def test_batches_hold_one_shape_up_to_transposition_and_stay_small():
    def shapes_of_batches(*tensors):
        batches = batches_of_one_shape([(tensor, whole_matrix(tensor.shape)) for tensor in tensors])
        return [[tuple(param.shape) for param, _ in batch] for batch in batches]

    shapes = [(256, 300), (400, 400), (300, 256), (256, 300), (256, 300), (700, 700)]
    # 2^18 elements hold three of 256 x 300, one of 400 x 400, and not even one of 700 x 700.
    assert shapes_of_batches(*map(torch.zeros, shapes)) == [
        [(256, 300), (300, 256), (256, 300)],
        [(256, 300)],
        [(400, 400)],
        [(700, 700)],
    ]
    strangers = [torch.zeros(2, 2), torch.zeros(2, 2, device="meta"), torch.zeros(2, 2, dtype=torch.bfloat16)]
    assert shapes_of_batches(*strangers) == [[(2, 2)]] * 3


def test_a_flat_shard_is_refused_when_the_groups_are_made():
    model = nn.Linear(4, 3, bias=False)
    model.weight.ds_shape = model.weight.shape
    model.weight.data = torch.empty(0)  # what ZeRO-3 leaves behind
    with pytest.raises(UserError, match=r"muon needs whole matrices, got a parameter of shape \[0\].*element-wise"):
        create_optimizer("muon", model, lr=1e-3)


def test_a_flat_shard_is_refused_when_it_comes_later():
    optimizer = create_optimizer("muon", nn.Linear(4, 3, bias=False), lr=1e-3)
    shard = nn.Parameter(torch.ones(6))  # ZeRO-1 and 2 put shards into the groups of a finished optimizer
    shard.grad = torch.ones(6)
    optimizer.param_groups[0]["params"] = [shard]
    with pytest.raises(UserError, match=r"muon needs whole matrices, got a parameter of shape \[6\]"):
        optimizer.step()


def test_a_model_without_hidden_matrices_is_refused():
    with pytest.raises(UserError, match="muon owns 0 parameters"):
        create_optimizer("muon", nn.Embedding(8, 4), lr=1e-3)


@pytest.mark.parametrize(
    "hyper",
    [
        {"momentum": 1.0},
        {"scaling": "rsm"},
        {"adamw_lr": -1.0},
        {"adamw_betas": (0.9, 1)},
    ],
)
def test_rejects_nonsense(hyper):
    with pytest.raises(UserError, match=next(iter(hyper))):
        muon([{"params": [nn.Parameter(torch.ones(2, 2))], "matrix": True}], 1e-3, **hyper)


def test_every_scaling_that_a_user_may_name_is_there():
    assert len(SCALINGS) == 2
    for scaling in SCALINGS:
        check_ranges(scaling=scaling)
