"""What a model would answer to nothing, taken off its answers: some words are likely whatever is asked."""

from collections.abc import Sequence

import numpy as np

from hf_strategies.prompting.prompts import Prompt

# Zhao et al. 2021, section 5: the estimate is an average over these.
CONTENT_FREE = ("N/A", "", "[MASK]")


def log_probabilities(scores: np.ndarray) -> np.ndarray:
    """Normalise log-likelihoods over the label words. `[..., words]`"""
    highest = scores.max(axis=-1, keepdims=True)
    return scores - highest - np.log(np.exp(scores - highest).sum(axis=-1, keepdims=True))


def per_token(scores: np.ndarray, prompts: Sequence[Prompt]) -> np.ndarray:
    """Divide each log-likelihood by the number of its word's tokens: long words are not less likely for it.

    Brown et al. 2020 (https://arxiv.org/abs/2005.14165), section 2.4.
    """
    return scores / np.array([[len(ending) for ending in prompt.endings] for prompt in prompts])


def contextual_baseline(content_free: np.ndarray) -> np.ndarray:
    """Return the log of how probable each word is when nothing is asked.

    Zhao et al. 2021, "Calibrate Before Use" (https://arxiv.org/abs/2102.09690), section 5: the mean of the normalised
    probabilities over content-free inputs, behind the same demonstrations as the rows. Their diagonal matrix divides
    by it, which here is a difference of logarithms.

    Args:
        content_free: Log-likelihoods behind prompts whose text says nothing. `[inputs, words]`

    Returns:
        `[words]`
    """
    return np.log(np.exp(log_probabilities(content_free)).mean(axis=0))


def calibrated(scores: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """Take a baseline off log-likelihoods, and normalise what is left.

    With the log-likelihoods behind a bare premise ("Sentiment:") as its baseline, this is the domain conditional
    pointwise mutual information of Holtzman et al. 2021 (https://arxiv.org/abs/2104.08315), section 3.

    Args:
        scores: Of each row. `[rows, words]`
        baseline: `[words]`

    Returns:
        Log-probabilities. `[rows, words]`
    """
    return log_probabilities(scores - baseline)
