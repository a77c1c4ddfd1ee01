import pytest

from hf_strategies.errors import UserError
from hf_strategies.models.scaled_size import scaled_sizes

# A decoder of 8 heads of 64, two for each key and value head, feed-forward layers of three times the width.
FULL = {
    "hidden_size": 512, "num_hidden_layers": 16, "num_attention_heads": 8, "num_key_value_heads": 4,
    "intermediate_size": 1536,
}  # fmt: skip


def count(sizes: dict[str, int]) -> int:
    """Parameters of its blocks: queries and outputs, keys and values, three feed-forward matrices."""
    width, inner = sizes["hidden_size"], sizes["intermediate_size"]
    kept = sizes.get("num_key_value_heads", 1) / sizes.get("num_attention_heads", 1)
    return round(sizes["num_hidden_layers"] * width * (2 * width + 2 * width * kept + 3 * inner))


def test_width_and_depth_shrink_alike_and_the_rest_follows():
    # an eighth: half as wide and half as deep
    assert scaled_sizes("transformer_pp", FULL, count(FULL) // 8, count) == {
        "hidden_size": 256, "num_hidden_layers": 8, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 768,
    }  # fmt: skip


def test_between_two_widths_the_depth_comes_nearer():
    target = count({**FULL, "hidden_size": 256, "num_hidden_layers": 9, "intermediate_size": 768})
    chosen = scaled_sizes("transformer_pp", FULL, target, count)
    assert (chosen["hidden_size"], chosen["num_hidden_layers"]) == (256, 9)


def test_heads_that_no_longer_fill_a_group_have_keys_of_their_own_and_one_layer_is_no_stack():
    # 64 wide, an eighth, goes with one layer of eight, of 53,248 parameters
    chosen = scaled_sizes("transformer_pp", {**FULL, "num_hidden_layers": 8}, 72_000, count)
    assert (chosen["hidden_size"], chosen["num_attention_heads"], chosen["num_key_value_heads"]) == (64, 1, 1)
    assert chosen["num_hidden_layers"] == 2


def test_a_model_without_heads_keeps_to_multiples_of_64():
    mamba = {"hidden_size": 768, "num_hidden_layers": 24}
    chosen = scaled_sizes(
        "mamba", mamba, 24 * 768**2 // 27, lambda sizes: sizes["num_hidden_layers"] * sizes["hidden_size"] ** 2
    )
    assert chosen == {"hidden_size": 256, "num_hidden_layers": 8}


@pytest.mark.parametrize(
    ("architecture", "target", "complaint"),
    [
        ("transformer_pp", 10**9, "expected fewer parameters than the recipe's 50,331,648, got 1,000,000,000"),
        ("transformer_pp", 10**4, "10,000 parameters are too few for transformer_pp in these proportions: got "),
        ("resnet3d", 10**6, "resnet3d has depths of its own"),
    ],
)
def test_what_cannot_be_shrunk_says_why(architecture, target, complaint):
    with pytest.raises(UserError, match=complaint):
        scaled_sizes(architecture, FULL, target, count)
