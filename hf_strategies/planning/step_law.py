"""Learning rate and batch of a pretraining run, from its size alone.

Paper: Li et al. 2025, "Predictable Scale: Step Law" (https://arxiv.org/abs/2503.04715): fitted on decoders of 60 M to
1 B parameters without their embeddings, on 2 B to 100 B tokens, with AdamW and a cosine that ends at a rate of 1e-5.
"""


def learning_rate(parameters: float, tokens: float) -> float:
    """Return AdamW's best peak rate for a model and what it is trained on."""
    return 1.79 * parameters**-0.713 * tokens**0.307


def batch_tokens(tokens: float) -> float:
    """Return the best batch, in tokens, of a run over `tokens`."""
    return 0.58 * tokens**0.571


def is_fitted(parameters: float, tokens: float) -> bool:
    """Tell whether the law was fitted on runs of this size."""
    return 6e7 <= parameters <= 1.1e9 and 2e9 <= tokens <= 1e11
