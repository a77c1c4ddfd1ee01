import pytest

from hf_strategies.checkpoints.space import check_space, checkpoint_bytes
from hf_strategies.errors import UserError
from hf_strategies.optimizers.state_memory import one_buffer, two_buffers


def test_a_checkpoint_is_its_weights_and_what_the_optimizer_keeps():
    params = [((10, 20), 2, True), ((30,), 4, True), ((100,), 4, False)]
    assert checkpoint_bytes(params, one_buffer) == 2 * (400 + 120) + 400
    assert checkpoint_bytes(params, None) == (400 + 1600) + (120 + 240) + 400  # as AdamW's, in float32


@pytest.mark.parametrize(
    ("stage", "more", "itemsize", "bytes_per_parameter"),
    [
        (0, {}, 4, 4 + 8 + 4),  # the engine's own file of the weights
        (2, {}, 4, 4 + 4 + 4 + 8),  # seen of zero2: 20.4 with all else that is in a folder
        (2, {}, 2, 2 + 2 + 4 + 8),
        (3, {}, 4, 4 + 4 + 8),
        (1, {"pipeline": {"stages": 2}}, 4, 4 + 4 + 8),
    ],
)
def test_deepspeed_writes_masters_and_weights_that_it_does_not_cut(stage, more, itemsize, bytes_per_parameter):
    engine = {"zero_optimization": {"stage": stage}, **more}
    assert checkpoint_bytes([((10, 20), itemsize, True)], two_buffers, engine) == 200 * bytes_per_parameter


def test_what_does_not_fit_is_refused_with_both_numbers(tmp_path):
    check_space(tmp_path, size=100_000_000, limit=2, free=300_000_000)
    with pytest.raises(
        UserError, match=r"3 more checkpoints of about 0\.10 GB need 0\.30 GB, and .* has 0\.29 GB free"
    ):
        check_space(tmp_path, size=100_000_000, limit=2, free=290_000_000)
    check_space(tmp_path, size=100_000_000, limit=2, present=2, free=100_000_000)  # one more, and the oldest goes
    with pytest.raises(UserError, match="1 more"):
        check_space(tmp_path, size=100_000_000, limit=2, present=9, free=99_000_000)


def test_the_best_takes_its_place_beside_the_newest_two(tmp_path):
    check_space(tmp_path, size=100_000_000, limit=3, keeps_best=True, free=400_000_000)
    with pytest.raises(UserError, match="4 more"):
        check_space(tmp_path, size=100_000_000, limit=2, keeps_best=True, free=390_000_000)


@pytest.mark.parametrize(
    ("limit", "keeps_best", "advice"),
    [
        (4, False, r"lower save_total_limit \(now 4\), free some"),
        (2, False, "free: free some, or choose"),  # which is as low as it goes
        (3, True, "free: free some, or choose"),
        (None, False, "free: free some, or choose"),
    ],
)
def test_a_lower_limit_is_advised_where_it_would_help(tmp_path, limit, keeps_best, advice):
    with pytest.raises(UserError, match=advice):
        check_space(tmp_path, size=10**18, limit=limit, keeps_best=keeps_best)
