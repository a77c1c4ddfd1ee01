"""Configs of the host's own model classes, at the sizes that were asked for, with the options that were chosen."""

import transformers
from transformers import BertConfig, GPT2Config, ModernBertConfig, PretrainedConfig, T5Config, ViTConfig

from hf_strategies.errors import UserError
from hf_strategies.models.decoder_classes import decoder_class
from hf_strategies.models.sizes import nearest_divisors
from hf_strategies.models.transformer import TransformerConfig

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
    qk_norm: bool,
    activation: str,
    logit_softcap: float,
    tie_embeddings: bool,
) -> PretrainedConfig:
    """Transformer++ as the Mamba paper calls it: rotary positions, gated feed-forward, RMSNorm, no biases.

    Input and output embeddings are tied where nobody says otherwise, which is what models of this size do: the table
    is a large share of them.
    """
    options = {"qk_norm": qk_norm, "activation": activation, "logit_softcap": logit_softcap}
    made = getattr(transformers, decoder_class(options))
    own: dict[str, dict[str, float | None]] = {
        "Qwen3Config": {"head_dim": hidden_size // num_attention_heads},
        "NanoChatConfig": {"final_logit_softcapping": float(logit_softcap) or None},
    }
    return made(
        vocab_size=vocab_size,
        max_position_embeddings=max_seq_length,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=num_attention_heads,
        num_key_value_heads=num_key_value_heads,
        intermediate_size=intermediate_size,
        tie_word_embeddings=tie_embeddings,
        **own.get(made.__name__, {}),
    )


def transformer(
    *,
    vocab_size: int,
    max_seq_length: int,
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    intermediate_size: int,
    norm_position: str,
    positions: str,
    activation: str,
    dropout: float,
) -> TransformerConfig:
    """The Transformer of 2017 as a decoder; by default as its paper has it, but without dropout.

    With its norms behind the sums it needs a warmup; before them it does not.
    """
    return TransformerConfig(
        vocab_size=vocab_size,
        max_position_embeddings=max_seq_length,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=num_attention_heads,
        ffn_dim=intermediate_size,
        do_layer_norm_before=norm_position == "pre",
        positions=positions,
        activation_function=activation,
        dropout=dropout,
        attention_dropout=dropout,
    )


def gpt2(
    *,
    vocab_size: int,
    max_seq_length: int,
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    intermediate_size: int,
    activation: str,
    tie_embeddings: bool,
    dropout: float,
) -> GPT2Config:
    """GPT-2, by default without dropout: pretraining sees its data about once, so there is nothing to regularise."""
    return GPT2Config(
        vocab_size=vocab_size,
        n_positions=max_seq_length,
        n_embd=hidden_size,
        n_layer=num_hidden_layers,
        n_head=num_attention_heads,
        n_inner=intermediate_size,
        activation_function=activation,
        tie_word_embeddings=tie_embeddings,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        bos_token_id=None,  # those of its own tokenizer are none of others, whose tokens are set with the vocabulary
        eos_token_id=None,
    )


def bert(
    *,
    vocab_size: int,
    max_seq_length: int,
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    intermediate_size: int,
    activation: str,
    dropout: float,
) -> BertConfig:
    """BERT, by default without dropout, which does not help where data is seen about once.

    Training on few examples wants some, and so does fine-tuning: there it is a field of the checkpoint's config.
    """
    return BertConfig(
        vocab_size=vocab_size,
        max_position_embeddings=max_seq_length,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=num_attention_heads,
        intermediate_size=intermediate_size,
        hidden_act=activation,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )


def modernbert(
    *,
    vocab_size: int,
    max_seq_length: int,
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    intermediate_size: int,
    dropout: float,
) -> ModernBertConfig:
    """ModernBERT, whose every third layer attends to all of a row and whose others to the 64 tokens on each side.

    A classifier reads the mean of the tokens, as in the published checkpoints: naming hidden tokens teaches a model to
    gather nothing in the first one.
    """
    return ModernBertConfig(
        vocab_size=vocab_size,
        max_position_embeddings=max_seq_length,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=num_attention_heads,
        intermediate_size=intermediate_size,
        classifier_pooling="mean",
        embedding_dropout=dropout,
        attention_dropout=dropout,
        mlp_dropout=dropout,
        # The published vocabulary's numbers lie outside of other ones.
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")),
    )


def t5(
    *,
    vocab_size: int,
    max_seq_length: int,  # noqa: ARG001 - its positions are relative: it has no limit
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    intermediate_size: int,
    activation: str,
    dropout: float,
) -> T5Config:
    """T5 1.1's layout: by default with gated feed-forward layers; `num_hidden_layers` in each of its two stacks.

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
        feed_forward_proj=activation,
        dropout_rate=dropout,
    )


def vit(
    *,
    image_size: int,
    num_channels: int,
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    intermediate_size: int,
    dropout: float,
    patch_size: int | None = None,
) -> ViTConfig:
    """ViT, by default without dropout.

    Args:
        image_size: Side of its square images, in pixels.
        num_channels: Of an image.
        hidden_size, num_hidden_layers, num_attention_heads, intermediate_size: As elsewhere.
        dropout: Of embeddings, attention, and what each layer adds.
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
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=num_attention_heads,
        intermediate_size=intermediate_size,
    )
