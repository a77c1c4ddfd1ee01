import pytest

from hf_strategies.errors import UserError
from hf_strategies.models.nearest_size import nearest_sizes, usual_depth

VOCABULARY = 4096


def count(sizes: dict[str, int]) -> int:
    """Parameters of GPT-2 by hand, vectors left out: its table, and 12 squares of the width in each layer."""
    width = sizes["hidden_size"]
    return VOCABULARY * width + sizes["num_hidden_layers"] * (4 * width**2 + 2 * width * sizes["intermediate_size"])


def test_between_published_sizes_depth_grows_with_the_width():
    # 512 wide models have 6 layers, 768 wide ones 12: 640 is halfway. What lies outside has what is nearest to it.
    assert [usual_depth("gpt2", width) for width in (64, 512, 640, 768, 5120, 8192)] == [6, 6, 9, 12, 40, 40]


@pytest.mark.parametrize("target", [5_000_000, 30_000_000, 350_000_000, 7_000_000_000])
def test_a_number_of_parameters_is_met_within_a_tenth_in_usual_proportions(target):
    sizes = nearest_sizes("gpt2", {}, target, count)
    assert count(sizes) == pytest.approx(target, rel=0.1)
    width, depth = sizes["hidden_size"], sizes["num_hidden_layers"]
    assert 0.7 < depth / usual_depth("gpt2", width) < 1.4
    assert (sizes["num_attention_heads"], sizes["intermediate_size"]) == (width // 64, 4 * width)


def test_30_million_parameters_are_the_ones_that_a_hand_finds():
    # 448 wide: 4096 * 448 + depth * 12 * 448^2 = 1.84 M + depth * 2.41 M; 12 layers would be 30.7 M, but 6 are usual
    # there and 8 the deepest. 512 wide, usually 6 deep: 2.10 M + 8 * 3.15 M = 27.3 M.
    sizes = nearest_sizes("gpt2", {}, 30_000_000, count)
    assert (sizes["hidden_size"], sizes["num_hidden_layers"]) == (576, 7)


def test_heads_that_were_given_choose_among_widths_that_they_divide():
    sizes = nearest_sizes("transformer_pp", {"num_attention_heads": 6, "num_key_value_heads": 2}, 30_000_000, count)
    assert sizes["hidden_size"] % 6 == 0
    with pytest.raises(UserError, match="num_attention_heads 6 is not divisible by num_key_value_heads 4"):
        nearest_sizes("transformer_pp", {"num_attention_heads": 6, "num_key_value_heads": 4}, 30_000_000, count)


def test_what_no_model_comes_near_to_is_refused():
    # The smallest is 64 wide and 4 layers deep: 4096 * 64 + 4 * 12 * 64^2 = 458,752.
    with pytest.raises(UserError, match=r"parameters 100,000: the nearest gpt2 has 458,752.*smaller vocabulary"):
        nearest_sizes("gpt2", {}, 100_000, count)
    with pytest.raises(UserError, match=r"parameters 10,000,000,000,000: the nearest gpt2 has .*one by one"):
        nearest_sizes("gpt2", {}, 10**13, count)
