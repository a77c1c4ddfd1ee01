import pytest

from hf_strategies.errors import UserError
from hf_strategies.models.sizes import nearest_divisors, resolve_sizes


def test_sizes_that_nobody_gave_follow_from_the_width():
    sizes, unused = resolve_sizes("transformer_pp", {"hidden_size": 512, "num_hidden_layers": None})
    # 512 / 64 heads; SwiGLU keeps the parameters of a 4x layer with 8/3 x 512 = 1365.3, rounded up to 1376 = 43 x 32.
    assert sizes == {
        "hidden_size": 512,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "intermediate_size": 1376,
    }
    assert unused == []


def test_a_size_that_the_architecture_does_not_have_is_named():
    sizes, unused = resolve_sizes("gpt2", {"hidden_size": 128, "num_key_value_heads": 2})
    assert sizes == {"hidden_size": 128, "num_hidden_layers": 6, "num_attention_heads": 2, "intermediate_size": 512}
    assert unused == ["num_key_value_heads"]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"hidden_size": 100, "num_attention_heads": 7}, "nearest that divide: 5 and 10"),
        ({"num_attention_heads": 4, "num_key_value_heads": 3}, "nearest that divide: 2 and 4"),
        ({"hidden_size": 12, "num_attention_heads": 4}, "heads of odd size 3"),
        ({"hidden_size": 0}, "hidden_size must be at least 1, got 0"),
    ],
)
def test_shapes_that_do_not_divide_are_refused_with_ones_that_do(given, complaint):
    with pytest.raises(UserError, match=complaint):
        resolve_sizes("transformer_pp", given)


def test_only_rotary_positions_need_heads_of_even_size():
    assert resolve_sizes("gpt2", {"hidden_size": 12, "num_attention_heads": 4})[0]["num_attention_heads"] == 4


def test_nearest_divisors():
    assert nearest_divisors(12, 5) == [4, 6]
    assert nearest_divisors(12, 1) == [2]
