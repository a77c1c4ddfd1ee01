"""R-Drop: two passes under dropout should say the same.

Paper: https://arxiv.org/abs/2106.14448 (equations 2 to 4). Cost: a second forward pass and its backward pass, and the
memory of both.
"""

from torch import Tensor


def symmetric_divergence(first: Tensor, second: Tensor, counted: Tensor) -> Tensor:
    """Sum half of both Kullback-Leibler divergences between two predictions, over the positions that count.

    Args:
        first: Logits of one pass. `[..., classes]`, of any floating dtype; the sum is taken in float32.
        second: Logits of the other.
        counted: Marks the positions that have a target. `[...]`

    Returns:
        A number; divide it by the count that the loss is divided by.
    """
    log_p = first[counted].float().log_softmax(dim=-1)
    log_q = second[counted].float().log_softmax(dim=-1)
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum() / 2  # both divergences in one product
