"""Configs of Mamba and Mamba-2, and the initialisation of their authors' code, of which the host has a part."""

import torch
from transformers import Mamba2Config, MambaConfig, PreTrainedModel

from hf_strategies.errors import UserError
from hf_strategies.models.sizes import nearest_divisors

LARGEST_CHUNK = 256  # tokens that Mamba-2 reads at once, as quadratic attention does
FRESH_STD = 0.02  # of their code; the host's default is five times as much


def mamba(
    *, vocab_size: int, hidden_size: int, num_hidden_layers: int, max_seq_length: int, state_size: int, expand: int,
    conv_kernel: int,
) -> MambaConfig:  # fmt: skip
    """Mamba: a selective state space of `state_size` numbers for each of `expand * hidden_size` channels.

    A block is one such mixer, half of a transformer's, so it has twice as many. Their width is no size of its own: it
    is `expand` times `hidden_size`. There are no positions, and no limit to a row's length.

    Its paper (appendix E.2) trains it with AdamW (0.9, 0.95), weight decay 0.1, clipping at 1, a linear warmup and a
    cosine, at five times GPT-3's rates: 3e-3 at 125M, 1.5e-3 at 350M, 1.25e-3 at 760M, 1e-3 at 1.3B, with batches of
    0.5M tokens. A_log, D and the steps' biases are not decayed, whatever the recipe.
    """
    del max_seq_length
    return MambaConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        state_size=state_size,
        expand=expand,
        conv_kernel=conv_kernel,
        tie_word_embeddings=True,
        initializer_range=FRESH_STD,
    )


def mamba2(
    *, vocab_size: int, hidden_size: int, num_hidden_layers: int, max_seq_length: int, state_size: int, expand: int,
    conv_kernel: int, head_dim: int | None = None,
) -> Mamba2Config:  # fmt: skip
    """Mamba-2: heads of `head_dim` channels that decay alike, which makes its scan a product of matrices.

    `head_dim` is 64 unless it is given, or the nearest below that divides `expand * hidden_size`. Sizes, positions and
    training are Mamba's.

    Raises:
        UserError: Heads that do not divide the width.
    """
    width = expand * hidden_size
    channels = head_dim or max(size for size in range(1, 65) if width % size == 0)
    if width % channels:
        raise UserError(
            f"head_dim {channels} does not divide expand x hidden_size = {width}; nearest that do: "
            + " and ".join(map(str, nearest_divisors(width, channels)))
        )
    return Mamba2Config(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        state_size=state_size,
        expand=expand,
        conv_kernel=conv_kernel,
        head_dim=channels,
        num_heads=width // channels,
        n_groups=1,
        chunk_size=min(LARGEST_CHUNK, 1 << (max_seq_length - 1).bit_length()),  # rows are padded to whole chunks
        tie_word_embeddings=True,
        initializer_range=FRESH_STD,
    )


@torch.no_grad()
def initialize(model: PreTrainedModel) -> None:
    """Make what ends each block smaller the more blocks there are, in a model with fresh weights.

    The host does so too where a config says `rescale_prenorm_residual`, but to weights that it loads as well.
    """
    for name, param in model.named_parameters():
        if name.endswith("out_proj.weight"):
            param.div_(model.config.num_hidden_layers**0.5)
