"""Configs of the host's own model classes, at the sizes that were asked for."""

from transformers import BertConfig, GPT2Config, LlamaConfig, T5Config, ViTConfig

from hf_strategies.errors import UserError
from hf_strategies.models.sizes import nearest_divisors

PATCHES_PER_SIDE = 8  # what an image is cut into where nobody says how; CIFAR's usual 4 x 4 pixels
SMALLEST_PATCH, LARGEST_PATCH = 2, 16  # the paper's is 16, at 224 pixels; a single pixel says nothing


def transformer_pp(
    *,
    vocab_size: int,
    max_seq_length: int,
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    num_key_value_heads: int,
    intermediate_size: int,
) -> LlamaConfig:
    """Transformer++ as the Mamba paper calls it: rotary positions, gated feed-forward, RMSNorm, no biases.

    Input and output embeddings are tied, which is what models of this size do: the table is a large share of them.
    """
    return LlamaConfig(
        vocab_size=vocab_size,
        max_position_embeddings=max_seq_length,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=num_attention_heads,
        num_key_value_heads=num_key_value_heads,
        intermediate_size=intermediate_size,
        tie_word_embeddings=True,
    )


def gpt2(
    *,
    vocab_size: int,
    max_seq_length: int,
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    intermediate_size: int,
) -> GPT2Config:
    """GPT-2 without dropout: pretraining sees its data about once, so there is nothing to regularise."""
    return GPT2Config(
        vocab_size=vocab_size,
        n_positions=max_seq_length,
        n_embd=hidden_size,
        n_layer=num_hidden_layers,
        n_head=num_attention_heads,
        n_inner=intermediate_size,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )


def bert(
    *,
    vocab_size: int,
    max_seq_length: int,
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    intermediate_size: int,
) -> BertConfig:
    """BERT without dropout, which does not help where data is seen about once (`hidden_dropout_prob` brings it back).

    Fine-tuning on few examples wants some: it is a field of the config there too.
    """
    return BertConfig(
        vocab_size=vocab_size,
        max_position_embeddings=max_seq_length,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=num_attention_heads,
        intermediate_size=intermediate_size,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def t5(
    *,
    vocab_size: int,
    max_seq_length: int,  # noqa: ARG001 - its positions are relative: it has no limit
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    intermediate_size: int,
) -> T5Config:
    """T5 1.1's layout: gated feed-forward layers and no dropout; `num_hidden_layers` in each of its two stacks.

    Unlike 1.1's, and like the first T5's, its head is the embedding, scaled: the table is a large share of models of
    this size, and the loss starts near the logarithm of the vocabulary instead of far above it.
    """
    return T5Config(
        vocab_size=vocab_size,
        d_model=hidden_size,
        d_kv=hidden_size // num_attention_heads,
        d_ff=intermediate_size,
        num_layers=num_hidden_layers,
        num_heads=num_attention_heads,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
    )


def vit(
    *,
    image_size: int,
    num_channels: int,
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    intermediate_size: int,
    patch_size: int | None = None,
) -> ViTConfig:
    """ViT without dropout.

    Args:
        image_size: Side of its square images, in pixels.
        num_channels: Of an image.
        hidden_size, num_hidden_layers, num_attention_heads, intermediate_size: As elsewhere.
        patch_size: Side of a patch, in pixels; None takes the divisor of `image_size` that comes nearest to 8 patches
            per side, of 2 to 16 pixels.

    Raises:
        UserError: Patches do not fill the image: the host would leave its margin out.
    """
    wanted = min(max(SMALLEST_PATCH, image_size / PATCHES_PER_SIDE), LARGEST_PATCH)
    side = patch_size or min(range(1, image_size + 1), key=lambda side: (image_size % side != 0, abs(side - wanted)))
    if image_size % side:
        raise UserError(
            f"image_size {image_size} is not divisible by patch_size {side}; nearest that divide: "
            + " and ".join(map(str, nearest_divisors(image_size, side)))
        )
    return ViTConfig(
        image_size=image_size,
        num_channels=num_channels,
        patch_size=side,
        encoder_stride=side,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=num_attention_heads,
        intermediate_size=intermediate_size,
    )
