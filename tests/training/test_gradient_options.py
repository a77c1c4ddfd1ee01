"""Clipping in a Trainer: what is logged, what reaches the optimizer, and what is refused."""

import copy

import pytest
import torch
from transformers import TrainerCallback

from hf_strategies.errors import UserError
from hf_strategies.training import StrategyTrainer, gradients
from hf_strategies.training.gradient_options import GradientOptions


class KeepGradients(TrainerCallback):
    """Keep the gradients that the optimizer is given, by name."""

    def __init__(self) -> None:
        self.updates: list[dict[str, torch.Tensor]] = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.updates.append({name: param.grad.clone() for name, param in model.named_parameters()})


@pytest.fixture
def train(tiny_lm, token_rows, arguments):
    """Train a copy of one model; return what is logged and the gradients of each update."""

    def run(changes: dict | None = None, **options):
        keep = KeepGradients()
        settings = {"gradient_accumulation_steps": 2, "max_grad_norm": 0, "max_steps": 2, **(changes or {})}
        trainer = StrategyTrainer(
            copy.deepcopy(tiny_lm), arguments(**settings), train_dataset=token_rows, callbacks=[keep], **options
        )
        trainer.train()
        norms = [row["grad_norm"] for row in trainer.state.log_history if "grad_norm" in row]
        return norms, keep.updates

    return run


@pytest.mark.parametrize("max_grad_norm", [0, 1.0], ids=["off", "the host's default"])
def test_elements_are_clipped_once_an_update_and_the_norm_logged_is_the_whole_ones(train, max_grad_norm):
    norms, plain = train()
    clipped_norms, clipped = train({"max_grad_norm": max_grad_norm}, clip_grad_value=1e-3)
    assert clipped_norms[0] == norms[0]
    assert norms[0] == pytest.approx(torch.cat([grad.flatten() for grad in plain[0].values()]).norm().item())
    for name, grad in plain[0].items():
        assert torch.equal(clipped[0][name], grad.clamp(-1e-3, 1e-3))
    assert max(grad.abs().max() for grad in clipped[1].values()) == torch.tensor(1e-3)


def test_units_are_clipped_by_their_weights_and_the_head_is_not(train, tiny_lm):
    norms, plain = train()
    clipped_norms, clipped = train(adaptive_clipping=1e-3)
    assert clipped_norms[0] == norms[0]
    weight = tiny_lm.model.layers[0].mlp.up_proj.weight.detach()
    name = "model.layers.0.mlp.up_proj.weight"
    bound = 1e-3 * weight.norm(dim=1, keepdim=True)
    norm = plain[0][name].norm(dim=1, keepdim=True)
    assert (norm > bound).any()
    torch.testing.assert_close(clipped[0][name], plain[0][name] * (bound / norm).clamp(max=1.0))
    assert torch.equal(clipped[0]["lm_head.weight"], plain[0]["lm_head.weight"])


def test_without_them_the_host_clips_by_norm(train):
    _, clipped = train({"max_grad_norm": 1e-2})
    assert torch.cat([grad.flatten() for grad in clipped[0].values()]).norm() == pytest.approx(1e-2, rel=1e-3)


@pytest.mark.parametrize("name", ["clip_grad_value", "adaptive_clipping", "sam_rho", "fgm_epsilon"])
def test_absurd_values_are_refused(name):
    for value in (0.0, -1.0, float("nan"), float("inf"), True, "1"):
        with pytest.raises(UserError, match=f"{name} must be a number above 0(| and at most 10), got"):
            GradientOptions(**{name: value})


def test_a_run_clips_in_one_way(tiny_lm, arguments):
    with pytest.raises(UserError, match="clip_grad_value and adaptive_clipping cannot both be given"):
        StrategyTrainer(tiny_lm, arguments(), clip_grad_value=1.0, adaptive_clipping=0.01)
    with pytest.raises(UserError, match="adaptive_clipping and max_grad_norm cannot both be given"):
        StrategyTrainer(tiny_lm, arguments(max_grad_norm=0.5), adaptive_clipping=0.01)


@pytest.mark.parametrize(
    ("options", "sharding", "complaint"),
    [
        ({"clip_grad_value": 1.0}, "DeepSpeed", "clip_grad_value has no effect under DeepSpeed"),
        ({"adaptive_clipping": 0.01}, "DeepSpeed", "adaptive_clipping has no effect under DeepSpeed"),
        ({"adaptive_clipping": 0.01}, "FSDP1", "adaptive_clipping needs whole tensors"),
        ({"sam_rho": 0.05}, "DeepSpeed", "sam_rho needs whole weights on each rank, got DeepSpeed's shards"),
        ({"sam_rho": 0.05}, "FSDP2", "sam_rho needs whole weights on each rank, got FSDP2's shards"),
        ({"fgm_epsilon": 1.0}, "DeepSpeed", "fgm_epsilon takes two backward passes"),
    ],
)
def test_what_sharding_makes_wrong_is_refused(options, sharding, complaint):
    with pytest.raises(UserError, match=complaint):
        GradientOptions(**options).check_host(1.0, sharding)


def test_what_sharding_leaves_right_is_accepted():
    GradientOptions(clip_grad_value=1.0).check_host(1.0, "FSDP1")
    GradientOptions(adaptive_clipping=0.01).check_host(0, "FSDP2")
    GradientOptions(sam_rho=0.05).check_host(0.5, None)
    GradientOptions(fgm_epsilon=1.0).check_host(0.5, "FSDP2")


def test_units_are_looked_for_once_in_a_run(train, monkeypatch):
    looked = []
    monkeypatch.setattr(gradients, "find_units", lambda model: looked.append(model) or [])
    train(adaptive_clipping=1e-3)
    assert len(looked) == 1
