"""What a trunk that cannot be cooled down is refused with, before torch is imported."""

import json

import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.errors import UserError


def test_weights_that_are_averaged_need_no_cooldown(tmp_path):
    pytest.importorskip("schedulefree")
    trunk = {"architecture": "transformer_pp", "optimizer": "schedule_free_adamw", "scheduler": "constant"}
    (tmp_path / "resolved_config.yaml").write_text(json.dumps(trunk))
    (tmp_path / "checkpoint-6").mkdir()
    (tmp_path / "checkpoint-6" / "trainer_state.json").write_text('{"global_step": 6, "max_steps": 9, "epoch": 0.5}')
    argv = ["--cooldown_from", str(tmp_path / "checkpoint-6"), "--cooldown_steps", "6"]
    with pytest.raises(UserError) as caught:
        parse_arguments(argv, description="A test.", default_recipe="pretrain")
    assert str(caught.value) == (
        "--cooldown_from: optimizer schedule_free_adamw averages instead of decaying: its runs need no cooldown"
    )


def test_a_runs_folder_is_answered_with_its_newest_checkpoint(tmp_path):
    (tmp_path / "resolved_config.yaml").write_text("{}")
    argv = ["--cooldown_from", str(tmp_path), "--cooldown_steps", "6"]
    for saved, said in (
        ([], f"{tmp_path} is a run's folder and holds no checkpoint"),
        (["checkpoint-9", "checkpoint-10", "checkpoint-best"], f"the newest is {tmp_path / 'checkpoint-10'}"),
    ):
        for name in saved:
            (tmp_path / name).mkdir()
        with pytest.raises(UserError) as caught:
            parse_arguments(argv, description="A test.", default_recipe="pretrain")
        (line,) = str(caught.value).splitlines()
        assert line.endswith(said)
