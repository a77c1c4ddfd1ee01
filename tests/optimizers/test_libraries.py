import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from hf_strategies.errors import UserError
from hf_strategies.optimizers import OPTIMIZERS, create_optimizer
from hf_strategies.optimizers.libraries import adafactor, schedule_free_adamw, sgd

ROWS, COLUMNS, UPDATES = 5, 3, 20


def trained(build, **settings) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Train a matrix on random gradients, one of them large; return its start, its end, and the gradients."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(ROWS, COLUMNS, dtype=torch.float64, generator=generator)
    grads = [torch.randn(ROWS, COLUMNS, dtype=torch.float64, generator=generator) for _ in range(UPDATES)]
    grads[UPDATES // 2] *= 10
    param = nn.Parameter(start.clone())
    optimizer = build([{"params": [param], "weight_decay": 0.1}], 0.01, **settings)
    if hasattr(optimizer, "train"):
        optimizer.train()
    for grad in grads:
        param.grad = grad.clone()
        optimizer.step()
    if hasattr(optimizer, "eval"):
        optimizer.eval()
    return start, param.detach(), grads


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_the_textbooks_with_decay_in_the_gradient(nesterov):
    param, end, grads = trained(sgd, momentum=0.8, nesterov=nesterov)
    velocity = torch.zeros_like(param)
    for grad in grads:
        grad = grad + 0.1 * param
        velocity = 0.8 * velocity + grad
        param = param - 0.01 * (grad + 0.8 * velocity if nesterov else velocity)
    torch.testing.assert_close(end, param)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_sgd_moves_all_of_a_long_tensor_in_every_precision(dtype):
    """torch's fused kernel for the CPU leaves whole vectors of a half-precision tensor as they are."""
    param = nn.Parameter(torch.ones(64, dtype=dtype))
    param.grad = torch.ones_like(param)
    sgd([{"params": [param]}], 0.5).step()
    assert param.tolist() == [0.5] * 64


def test_adafactor_is_the_textbooks():
    param, end, grads = trained(adafactor, beta2_decay=-0.7, clip_threshold=1.05)
    rows, columns = torch.zeros(ROWS, 1), torch.zeros(1, COLUMNS)
    for update, grad in enumerate(grads, start=1):
        decay = 1 - update**-0.7
        rows = decay * rows + (1 - decay) * grad.square().mean(dim=1, keepdim=True)
        columns = decay * columns + (1 - decay) * grad.square().mean(dim=0, keepdim=True)
        direction = grad / torch.sqrt(rows @ columns / rows.mean())
        direction = direction / max(1.0, direction.square().mean().sqrt() / 1.05)
        step = min(0.01, update**-0.5) * param.square().mean().sqrt()
        param = param * (1 - 0.01 * 0.1) - step * direction
    torch.testing.assert_close(end, param)


def test_schedule_free_adamw_ends_at_the_textbooks_average():
    pytest.importorskip("schedulefree")
    iterate, end, grads = trained(schedule_free_adamw, betas=(0.8, 0.9))
    average, square, trained_at = iterate, torch.zeros_like(iterate), iterate
    for update, grad in enumerate(grads, start=1):
        square = 0.9 * square + 0.1 * grad.square()
        step = 0.01 * (grad / ((square / (1 - 0.9**update)).sqrt() + 1e-8) + 0.1 * trained_at)
        iterate = iterate - step
        average = average + (iterate - average) / update
        trained_at = 0.2 * iterate + 0.8 * average
    torch.testing.assert_close(end, average)


def test_ademamix_is_the_textbooks_without_a_rise():
    pytest.importorskip("pytorch_optimizer")
    settings = {"betas": (0.8, 0.9), "slow_beta": 0.99, "slow_weight": 3.0}
    param, end, grads = trained(OPTIMIZERS["ademamix"].build, **settings)
    fast, slow, square = (torch.zeros_like(param) for _ in range(3))
    for update, grad in enumerate(grads, start=1):
        fast = 0.8 * fast + 0.2 * grad
        slow = 0.99 * slow + 0.01 * grad
        square = 0.9 * square + 0.1 * grad.square()
        root = (square / (1 - 0.9**update)).sqrt() + 1e-8
        param = param * (1 - 0.01 * 0.1) - 0.01 * (fast / (1 - 0.8**update) + 3.0 * slow) / root
    torch.testing.assert_close(end, param)


def test_soap_is_adam_on_the_second_gradient_where_the_basis_is_the_axes():
    """Gradients along the axes have the axes for eigenbasis, in which SOAP is AdamW with bias correction."""
    pytest.importorskip("pytorch_optimizer")
    param = nn.Parameter(torch.zeros(2, 2, dtype=torch.float64))
    optimizer = OPTIMIZERS["soap"].build([{"params": [param]}], 0.01, betas=(0.9, 0.9))
    for _ in range(2):
        param.grad = torch.diag(torch.tensor([3.0, -2.0], dtype=torch.float64))
        optimizer.step()
    torch.testing.assert_close(param.detach(), torch.diag(torch.tensor([-0.01, 0.01], dtype=torch.float64)))


@pytest.mark.parametrize("name", ["adamw_8bit", "paged_adamw", "paged_adamw_8bit"])
def test_bitsandbytes_steps_are_near_adamws(name):
    pytest.importorskip("bitsandbytes")
    torch.manual_seed(0)
    ours, reference = nn.Linear(128, 64), nn.Linear(128, 64)
    reference.load_state_dict(ours.state_dict())
    before = ours.weight.detach().clone()
    settings = {"lr": 1e-2, "weight_decay": 0.1, "betas": (0.9, 0.95)}
    optimizers = [create_optimizer(name, ours, **settings), create_optimizer("adamw", reference, **settings)]
    for _ in range(5):
        ours.weight.grad = torch.randn(64, 128)
        ours.bias.grad = torch.randn(64)
        reference.weight.grad, reference.bias.grad = ours.weight.grad.clone(), ours.bias.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    distance = (ours.weight - reference.weight).norm() / (reference.weight - before).norm()
    assert distance < (0.05 if "8bit" in name else 1e-5)


def test_settings_that_exclude_each_other_are_refused():
    with pytest.raises(UserError, match="momentum must be above 0, got 0"):
        create_optimizer("sgd", nn.Linear(2, 2), lr=0.1, momentum=0.0, nesterov=True)
    pytest.importorskip("schedulefree")
    with pytest.raises(UserError, match="the first above 0, got"):
        create_optimizer("schedule_free_adamw", nn.Linear(2, 2), lr=0.1, betas=(0.0, 0.9))


def flatten_as_zero_does(optimizer) -> None:
    for group in optimizer.param_groups:
        shard = nn.Parameter(torch.cat([param.detach().flatten() for param in group["params"]])[::2].clone())
        shard.grad = torch.ones_like(shard)
        group["params"] = [shard]


@pytest.mark.parametrize("name", ["adafactor", "schedule_free_adamw", "soap", "pytorch_optimizer:Adan"])
def test_flat_shards_are_refused_before_anything_moves(name):
    pytest.importorskip("schedulefree")
    pytest.importorskip("pytorch_optimizer")
    optimizer = create_optimizer(name, nn.Linear(4, 4), lr=0.1)
    flatten_as_zero_does(optimizer)
    before = copy.deepcopy([group["params"] for group in optimizer.param_groups])
    with pytest.raises(UserError, match=f"{name} needs whole tensors, and under ZeRO or FSDP1 each rank holds flat"):
        optimizer.step()
    after = [group["params"] for group in optimizer.param_groups]
    assert all(torch.equal(a, b) for was, now in zip(before, after) for a, b in zip(was, now))

    marked = nn.Linear(4, 4)
    marked.weight._fsdp_flattened = True  # what FSDP1 leaves on the shards that it puts in a module
    with pytest.raises(UserError, match=f"{name} needs whole tensors"):
        create_optimizer(name, marked, lr=0.1)


@pytest.mark.parametrize("name", ["sgd", "ademamix"])
def test_elementwise_optimizers_train_flat_shards(name):
    pytest.importorskip("pytorch_optimizer")
    optimizer = create_optimizer(name, nn.Linear(4, 4), lr=0.1)
    flatten_as_zero_does(optimizer)
    (before, *_) = copy.deepcopy(optimizer.param_groups[0]["params"])
    optimizer.step()
    assert (optimizer.param_groups[0]["params"][0] != before).all()


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [(row.name, row.facts["package"], row.facts["extra"]) for row in OPTIMIZERS if "package" in row.facts]
    + [("pytorch_optimizer:Adan", "pytorch_optimizer", "optimizers")],
)
def test_a_missing_package_is_one_line_that_installs_it(name, package, extra):
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"  # what Python finds where nothing is installed
        f"from hf_strategies.optimizers import check_optimizer_settings\ncheck_optimizer_settings({name!r}, {{}})"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    expected = f"optimizer {name!r} needs the package {package}: pip install 'hf_strategies[{extra}]'"
    assert run.stderr.splitlines()[-1].endswith(expected)
