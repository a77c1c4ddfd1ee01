import pytest

from hf_strategies.checkpoints.space import check_space, checkpoint_bytes
from hf_strategies.errors import UserError
from hf_strategies.optimizers.state_memory import one_buffer


def test_a_checkpoint_is_its_weights_and_what_the_optimizer_keeps():
    params = [((10, 20), 2, True), ((30,), 4, True), ((100,), 4, False)]
    assert checkpoint_bytes(params, one_buffer) == 2 * (400 + 120) + 400
    assert checkpoint_bytes(params, None) == (400 + 1600) + (120 + 240) + 400  # as AdamW's, in float32


def test_what_does_not_fit_is_refused_with_both_numbers(tmp_path):
    check_space(tmp_path, size=100_000_000, limit=2, free=300_000_000)
    with pytest.raises(
        UserError, match=r"3 more checkpoints of about 0\.10 GB need 0\.30 GB, and .* has 0\.29 GB free"
    ):
        check_space(tmp_path, size=100_000_000, limit=2, free=290_000_000)
    check_space(tmp_path, size=100_000_000, limit=2, present=2, free=100_000_000)  # one more, and the oldest goes
    with pytest.raises(UserError, match="1 more"):
        check_space(tmp_path, size=100_000_000, limit=2, present=9, free=99_000_000)


def test_the_disk_itself_is_asked(tmp_path):
    check_space(tmp_path, size=1, limit=2)
    with pytest.raises(UserError, match="lower save_total_limit"):
        check_space(tmp_path, size=10**18, limit=2)
