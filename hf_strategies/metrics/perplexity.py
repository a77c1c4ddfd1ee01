"""How many tokens a language model hesitates between."""

import math
from typing import Any

from hf_strategies.errors import UserError
from hf_strategies.metrics.inputs import token_values

ROUNDING = 1e-3  # what a sum in low precision may be above the logarithm of 1


def perplexity(predictions: Any, references: Any) -> float:
    """Return the perplexity per token, over all tokens of all rows at once.

    Args:
        predictions: Log-likelihood of each token, in nats, at most 0. `[rows, tokens]`; rows may differ in length.
        references: The tokens, -100 where one does not count. As `predictions`.

    Raises:
        UserError: A log-likelihood is above 0: a loss has the other sign.
    """
    log_likelihoods = token_values(predictions, references)
    if log_likelihoods.max() > ROUNDING:
        raise UserError(
            f"predictions: expected log-likelihoods, at most 0, got {log_likelihoods.max():g}: is it a loss?"
        )
    return perplexity_of(-float(log_likelihoods.mean()))


def perplexity_of(nats_per_token: float) -> float:
    """Return the perplexity of a mean loss; infinite past the range of a float."""
    return math.inf if nats_per_token > 700 else math.exp(nats_per_token)
