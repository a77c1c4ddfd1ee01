import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.quantities import BatchSize, parse_batch_size, split_batch
from hf_strategies.errors import UserError


@pytest.mark.parametrize(
    ("text", "count", "unit"),
    [
        ("256", 256, "sequences"),
        ("256 sequences", 256, "sequences"),
        ("0.5M tokens", 500_000, "tokens"),
        ("4096 tokens", 4096, "tokens"),
        ("1k", 1000, "sequences"),
    ],
)
def test_a_batch_is_read_in_sequences_or_tokens(text, count, unit):
    assert parse_batch_size(text) == BatchSize(count, unit)


@pytest.mark.parametrize("text", ["", "0", "-4", "many", "1.5", "0.5M bytes", "nan", "1e999"])
def test_anything_else_is_refused(text):
    with pytest.raises(UserError, match="expected sequences"):
        parse_batch_size(text)


def split(text: str, *, replicas: int, per_device: int = 8, max_seq_length: int = 256, shrink: bool = False):
    batch = parse_batch_size(text)
    return split_batch(batch, max_seq_length=max_seq_length, per_device=per_device, replicas=replicas, shrink=shrink)


def test_accumulation_follows_from_the_world():
    assert split("64", replicas=1) == (8, 8)
    assert split("64", replicas=4) == (8, 2)
    # 524,288 tokens are 512 sequences of 1,024
    assert split("524288 tokens", replicas=8, per_device=16, max_seq_length=1024) == (16, 4)


def test_a_micro_batch_that_nobody_insists_on_shrinks_to_fit_the_devices():
    assert [split("8", replicas=world, shrink=True) for world in (1, 2, 8)] == [(8, 1), (4, 1), (1, 1)]
    assert split("60", replicas=2, shrink=True) == (6, 5)  # 30 each: 6 is its largest divisor up to 8


@pytest.mark.parametrize("replicas", [1, 2, 4, 8])
def test_the_default_recipe_fits_any_usual_number_of_devices(replicas):
    arguments = parse_arguments([], description="", default_recipe="pretrain")
    per_device, accumulation = split(
        arguments.strategy.global_batch_size,
        replicas=replicas,
        per_device=arguments.training["per_device_train_batch_size"],
        max_seq_length=arguments.data.max_seq_length,
        shrink=True,
    )
    assert per_device * accumulation * replicas == 8


def test_a_batch_that_does_not_divide_names_the_nearest_that_do():
    with pytest.raises(
        UserError, match=r"12 sequences is not a multiple of 8 per device x 1 replicas; nearest: 8 or 1"
    ):
        split("12", replicas=1)
    with pytest.raises(UserError, match=r"500000 tokens \(488 sequences\).*nearest: 491520 tokens or 524288 tokens"):
        split("500000 tokens", replicas=8, per_device=4, max_seq_length=1024)
    with pytest.raises(UserError, match="not a multiple"):
        split("8", replicas=3, shrink=True)
