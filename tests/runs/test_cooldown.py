import json
import math

import pytest
import torch

from hf_strategies.arguments import Arguments, parse_arguments
from hf_strategies.errors import UserError
from hf_strategies.runs.cooldown import branch_cooldown, cooldown_updates, read_factor
from hf_strategies.schedulers import create_scheduler, schedule_curve


def test_a_length_is_updates_tokens_or_a_share_of_the_whole_branch():
    assert cooldown_updates(20, done=80, tokens=None) == 20
    assert cooldown_updates("41k tokens", done=80, tokens=2048) == 20
    assert cooldown_updates(0.2, done=80, tokens=None) == 20  # of 100


def write_schedule(folder, name: str, steps: int) -> None:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (0.0, 0.3)]
    optimizer = torch.optim.SGD(groups)
    scheduler = create_scheduler(name, optimizer, num_training_steps=10)
    for _ in range(steps):
        optimizer.step()
        scheduler.step(*([1.0] if name == "reduce_on_plateau" else []))
    torch.save(scheduler.state_dict(), folder / "scheduler.pt")


def test_the_rate_that_was_reached_is_read_as_a_share_of_the_base(tmp_path):
    write_schedule(tmp_path, "linear", 4)
    assert read_factor(tmp_path) == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("name", "steps", "complaint"), [("linear", 10, "the rate is 0 at"), ("reduce_on_plateau", 1, "follows a metric")]
)
def test_there_must_be_a_rate_to_fall_from(tmp_path, name, steps, complaint):
    write_schedule(tmp_path, name, steps)
    with pytest.raises(UserError, match=complaint):
        read_factor(tmp_path)


def test_a_rate_a_rounding_error_above_its_base_is_at_its_peak(tmp_path):
    # peak * factor / base is not always factor; the phases of a branch take peaks up to 1.
    torch.save({"base_lrs": [0.3], "_last_lr": [math.nextafter(0.3, 1.0)]}, tmp_path / "scheduler.pt")
    assert read_factor(tmp_path) == 1.0


def branch(tmp_path, warmup, done: int) -> Arguments:
    """A cooldown from a trunk of 100 updates of 256 tokens, 30 an epoch, whose warmup takes 15 of them."""
    checkpoint = tmp_path / f"checkpoint-{done}"
    checkpoint.mkdir()
    settings = {"architecture": "transformer_pp", "scheduler": "linear", "warmup_steps": warmup}
    sizes = {"max_seq_length": 256, "per_device_train_batch_size": 1}
    (tmp_path / "resolved_config.yaml").write_text(json.dumps({**settings, **sizes}))
    state = {"global_step": done, "max_steps": 100, "epoch": done / 30}
    (checkpoint / "trainer_state.json").write_text(json.dumps(state))
    rate = schedule_curve("linear", num_training_steps=100, num_warmup_steps=15)(done)
    torch.save({"base_lrs": [1.0], "_last_lr": [rate]}, checkpoint / "scheduler.pt")
    flags = ["--cooldown_from", str(checkpoint), "--cooldown_steps", "20"]
    return branch_cooldown(parse_arguments(flags, description="", default_recipe="pretrain"), block_size=256)


@pytest.mark.parametrize("warmup", [15, 0.15, "3840 tokens", "0.5 epochs"])
def test_a_branch_from_a_warmup_says_so_in_any_unit(tmp_path, warmup):
    note = branch(tmp_path, warmup, done=6).notes[-1]
    assert "rate is at 0.4 of its peak there, still in its warmup (update 6 of 15): the fall begins at that" in note


def test_a_branch_from_a_fall_says_no_more_than_where_the_rate_is(tmp_path):
    assert "rate is at 0.7059 of its peak there: the fall" in branch(tmp_path, 15, done=40).notes[-1]  # 60 of 85 left
    assert "rate is at" not in branch(tmp_path, 15, done=15).notes[-1]


def test_a_checkpoint_without_its_schedule_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"scheduler\.pt is missing"):
        read_factor(tmp_path)
