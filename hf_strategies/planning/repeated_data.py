"""What tokens are worth that a model has seen before.

Paper: Muennighoff et al. 2023, "Scaling Data-Constrained Language Models" (https://arxiv.org/abs/2305.16264),
equations 5 and 6 with the fit of appendix A: models of 7 M to 9 B parameters and up to 500 epochs on C4, trained with
dropout 0.1 and weight decay 0.1. Parameters that are too many for the data lose their worth too.
"""

import math

from hf_strategies.planning.scaling_law import FLOPS_PER_TOKEN, ScalingLaw, Split

C4 = ScalingLaw(
    name="C4",
    floor=math.exp(0.6254804),
    a=math.exp(6.255414),
    alpha=0.3526596,
    b=math.exp(7.3049974),
    beta=0.3526596,
)
REPETITIONS_WORTH = 15.387756  # repetitions after which what is left of a token's worth has fallen to 1/e
EXCESS_WORTH = 5.309743  # the same of parameters
NEARLY_FREE_EPOCHS = 4  # up to here, by the paper's measurements, repeated tokens are nearly as good as new ones
STEPS_PER_DECADE = 500


def effective_tokens(tokens: float, unique: float) -> float:
    """Return the number of new tokens that are worth as much as `tokens` of which only `unique` differ."""
    return _worth(tokens, min(tokens, unique), REPETITIONS_WORTH)


def repeated_loss(split: Split, unique: float) -> float:
    """Predict the loss of a model whose tokens repeat those of a text with `unique` tokens."""
    fitting = C4.for_tokens(min(split.tokens, unique)).parameters
    parameters = _worth(split.parameters, min(split.parameters, fitting), EXCESS_WORTH)
    return C4.loss(Split(parameters, effective_tokens(split.tokens, unique)))


def best_split(flops: float, unique: float) -> Split:
    """Return the model with the lowest loss for a budget and a text; within half a percent in its size.

    With little text it is smaller, and sees the text more often, than one that is chosen as if tokens were all new.
    """
    product = flops / FLOPS_PER_TOKEN
    largest = C4.for_flops(flops).parameters  # with new tokens alone; repeating makes no larger model worth while
    sizes = (largest * 10 ** (-step / STEPS_PER_DECADE) for step in range(3 * STEPS_PER_DECADE))
    return min((Split(size, product / size) for size in sizes), key=lambda split: repeated_loss(split, unique))


def _worth(count: float, plain: float, decay: float) -> float:
    """Let what exceeds `plain` lose its worth exponentially."""
    return plain * (1 + decay * (1 - math.exp(-(count / plain - 1) / decay)))
