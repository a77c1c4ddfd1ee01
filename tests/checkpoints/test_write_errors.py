import errno

import pytest
import torch
from safetensors.torch import save_file
from torch.distributed import checkpoint as sharded
from torch.distributed.checkpoint import CheckpointException

from hf_strategies.checkpoints.write_errors import is_write_error

WEIGHTS = {"weights": torch.zeros(10_000)}


@pytest.mark.parametrize(
    "save",
    [
        lambda path: (path / "note").write_text("x" * 10_000),
        lambda path: torch.save(WEIGHTS, path / "optimizer.pt"),
        lambda path: save_file(WEIGHTS, path / "model.safetensors"),
        lambda path: sharded.save(WEIGHTS, checkpoint_id=path / "shards", no_dist=True),
    ],
    ids=["text", "torch", "safetensors", "shards"],
)
def test_a_full_disk_is_known_by_what_each_library_says_of_it(tmp_path, no_file_above, save):
    with no_file_above(1000), pytest.raises(BaseException) as met:
        save(tmp_path)
    assert is_write_error(met.value)


def test_a_folder_that_went_away_is_known(tmp_path):
    with pytest.raises(RuntimeError) as met:
        torch.save(WEIGHTS, tmp_path / "gone" / "optimizer.pt")
    assert is_write_error(met.value)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyError("a"), KeyboardInterrupt()])
def test_a_wrong_program_is_not_a_full_disk(error):
    assert not is_write_error(error)
    full = OSError(errno.ENOSPC, "No space left on device")
    assert not is_write_error(CheckpointException("write", {0: (full, None), 1: (error, None)}))
    assert is_write_error(CheckpointException("write", {0: (full, None)}))
