"""Configs of the host's own model classes, at the sizes that were asked for."""

from transformers import GPT2Config, LlamaConfig


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
