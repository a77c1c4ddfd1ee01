"""RWKV: its config, and the initialisation of its authors' code, of which the host has a part."""

import math

import torch
from transformers import PreTrainedModel, RwkvConfig

from hf_strategies.errors import UserError

FIRST_BONUS = math.log(0.3)
ZEROED = ("attention.key", "attention.receptance", "attention.output", "feed_forward.value", "feed_forward.receptance")


def rwkv(
    *, vocab_size: int, max_seq_length: int, hidden_size: int, num_hidden_layers: int, intermediate_size: int
) -> RwkvConfig:
    """RWKV-4: a recurrence of one number per channel, with a decay and a bonus for the present token, both learned.

    Input and output embeddings are not tied: the former start near zero, behind a norm of their own.

    Its paper (https://arxiv.org/abs/2305.13048) trains it with Adam (0.9, 0.99), no weight decay and batches of 128
    rows of 1,024 tokens; the rate is held, then falls exponentially: from 6e-4 at 169M (4e-4 at 430M, 3e-4 at 1.5B,
    1.5e-4 at 3B and 7B, 1e-4 at 14B) to 1e-5. (Recalled, not checked.) Its mixes, decays and bonuses are never decayed
    here.

    Two things of the host's are turned off. The rescaling of layers changes the weights of a model that evaluates, and
    they would be saved like that; only float16 needs it. Its cache mixes up the rows of a batch, so that generation
    computes rows anew for every token.

    Raises:
        UserError: Fewer than two layers: the initialisation runs from the first to the last.
    """
    if num_hidden_layers < 2:
        raise UserError(f"rwkv needs num_hidden_layers of at least 2, got {num_hidden_layers}")
    return RwkvConfig(
        vocab_size=vocab_size,
        context_length=max_seq_length,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        intermediate_size=intermediate_size,
        rescale_every=0,
        use_cache=False,
    )


@torch.no_grad()
def initialize(model: PreTrainedModel) -> None:
    """Finish what the host begins, in a model with fresh weights.

    Paper, appendix E: every block starts as the identity, most matrices as zeros; and the bonus of the present token
    alternates between three values, which the host sets to 1.
    """
    for name, param in model.named_parameters():
        module, _, kind = name.rpartition(".")
        if kind == "time_first":
            zigzag = (torch.arange(len(param), device=param.device) + 1) % 3 - 1
            param.copy_(0.5 * zigzag + FIRST_BONUS)
        elif module.endswith(ZEROED):
            param.zero_()
