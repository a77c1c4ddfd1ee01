import pytest

from hf_strategies.checkpoints.resumable import check_resumable, read_state
from hf_strategies.errors import UserError


@pytest.fixture
def checkpoint(tmp_path):
    (tmp_path / "trainer_state.json").write_text('{"global_step": 4, "max_steps": 9}')
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (tmp_path / name).touch()
    return tmp_path


def test_a_whole_one_is_gone_on_from(checkpoint):
    check_resumable(checkpoint)
    assert read_state(checkpoint)["global_step"] == 4


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["optimizer.pt"], "no optimizer"),
        (["scheduler.pt"], "no schedule"),
        (["rng_state.pth"], "no random state"),
        (["optimizer.pt", "scheduler.pt", "rng_state.pth"], "no optimizer, no schedule, no random state"),
    ],
)
def test_what_is_missing_is_named(checkpoint, names, missing):
    for name in names:
        (checkpoint / name).unlink()
    with pytest.raises(UserError, match=rf"holds {missing} \(save_only_model leaves them out\)"):
        check_resumable(checkpoint)


def test_what_engines_of_many_ranks_write_counts(checkpoint):
    for name in ("optimizer.pt", "rng_state.pth"):
        (checkpoint / name).unlink()
    (checkpoint / "rng_state_0.pth").touch()
    (checkpoint / "optimizer_0").mkdir()  # FSDP's
    check_resumable(checkpoint)
    (checkpoint / "optimizer_0").rmdir()
    (checkpoint / "scheduler.pt").unlink()
    (checkpoint / "global_step4").mkdir()  # DeepSpeed's
    check_resumable(checkpoint)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"global_step": 4}', '{"global_step": true, "max_steps": 9}', "[" * 100_000]
)
def test_a_state_that_says_nothing_is_damaged(checkpoint, text):
    (checkpoint / "trainer_state.json").write_text(text)
    with pytest.raises(UserError, match=r"trainer_state\.json: damaged \(.*resume from an earlier checkpoint"):
        check_resumable(checkpoint)


def test_a_folder_without_a_state_is_no_checkpoint(tmp_path):
    with pytest.raises(UserError, match="is not a checkpoint"):
        read_state(tmp_path)
