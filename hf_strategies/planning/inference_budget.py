"""The model that is cheapest over its life, where it will also be used.

Paper: Sardana et al. 2023, "Beyond Chinchilla-Optimal" (https://arxiv.org/abs/2401.00448), equation 2: of all models
that reach a loss, the one whose training and inference take the fewest FLOPs.
"""

from hf_strategies.planning.scaling_law import ScalingLaw, Split

INFERENCE_FLOPS_PER_TOKEN = 2  # of each parameter
STEPS_PER_DECADE = 500


def lifetime_flops(split: Split, inference_tokens: float) -> float:
    """Count the operations of training a model and of using it for `inference_tokens`, prompts included."""
    return split.flops + INFERENCE_FLOPS_PER_TOKEN * split.parameters * inference_tokens


def cheapest_split(law: ScalingLaw, loss: float, inference_tokens: float, *, largest: float) -> Split:
    """Return the model that reaches a loss with the fewest operations over its life, within half a percent in size.

    Args:
        law: What predicts the loss.
        loss: That is to be reached.
        inference_tokens: That the model will read and write.
        largest: Parameters of a model that reaches the loss: what is cheapest to train alone.
    """
    found = []
    for step in range(3 * STEPS_PER_DECADE):
        parameters = largest * 10 ** (-step / STEPS_PER_DECADE)
        tokens = law.tokens_for(loss, parameters)
        if tokens is None:  # so small a model never gets there, nor does a smaller one
            break
        found.append(Split(parameters, tokens))
    return min(found, key=lambda split: lifetime_flops(split, inference_tokens))
