"""The config of a Hyena at the sizes that were asked for."""

from hf_strategies.models.hyena.config import HyenaConfig


def hyena(
    *, vocab_size: int, max_seq_length: int, hidden_size: int, num_hidden_layers: int, intermediate_size: int,
    order: int, short_kernel_size: int, filter_size: int, filter_features: int, filter_frequency: float,
    dropout: float,
) -> HyenaConfig:  # fmt: skip
    """Hyena: long convolutions and gates in the place of attention; `generate` reads the whole row for every token.

    Its filters reach over `max_seq_length` tokens, a million if need be, and have no more weights for it. Their
    networks are not decayed, and are not matrices to Muon.

    Its authors train 153M on the Pile 18 blocks deep, with twice `hidden_size` inside feed-forward layers. HyenaDNA
    (https://arxiv.org/abs/2306.15794) reads single bases with 2 to 8 blocks of 128 or 256, four times that inside,
    `filter_features` 5 and `filter_frequency` 10. Both use AdamW at about 6e-4 with weight decay 0.1, a warmup and a
    cosine. (Rates are recalled, not checked.)
    """
    return HyenaConfig(
        vocab_size=vocab_size,
        max_position_embeddings=max_seq_length,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        intermediate_size=intermediate_size,
        order=order,
        short_kernel_size=short_kernel_size,
        filter_size=filter_size,
        filter_features=filter_features,
        filter_frequency=filter_frequency,
        dropout=dropout,
    )
