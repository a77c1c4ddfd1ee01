"""Whether a classifier that is shown embeddings reads the padding behind them."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

TOKENS = 4
LARGEST_LEAK = 0.1  # of what a token that counts does to the scores: rounding is far below, a pooled pad far above


@torch.no_grad()
def reads_padding(model: PreTrainedModel) -> bool:
    """Tell whether a classifier's scores depend on padding after a row, where it does not know the row's tokens.

    The host's decoders score a row at its last token that is no padding; of embeddings they cannot tell which that is,
    and take the last. Cost: two passes over two rows of four tokens.

    Args:
        model: With a head for sequences.
    """
    draws, table = torch.Generator().manual_seed(0), model.get_input_embeddings()
    ids = torch.randint(table.num_embeddings, (2, TOKENS), generator=draws).to(model.device)
    ids[1, :-1] = ids[0, :-1]  # two rows that differ in their last token, which counts or is padding
    embedded, mask = table(ids), torch.ones_like(ids)
    was_training = model.training
    model.eval()
    seen = _difference(model, embedded, mask)
    mask[:, -1] = 0
    leaked = _difference(model, embedded, mask)
    model.train(was_training)
    return leaked > LARGEST_LEAK * seen


def _difference(model: PreTrainedModel, embedded: Tensor, mask: Tensor) -> float:
    first, second = model(inputs_embeds=embedded, attention_mask=mask).logits.float()
    return (first - second).abs().max().item()
