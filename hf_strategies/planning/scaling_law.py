"""How a model's loss falls with its parameters and its tokens, and how a budget of FLOPs is best split between them.

Papers: Hoffmann et al. 2022 (Chinchilla, https://arxiv.org/abs/2203.15556), approach 3 of section 3.3, and Besiroglu
et al. 2024 (https://arxiv.org/abs/2404.10102), who fit the same data again: the first fit had stopped too early.
Training takes 6 FLOPs per parameter and token.
"""

from dataclasses import dataclass

FLOPS_PER_TOKEN = 6  # of each parameter: 2 forward, 4 backward
TOKENS_PER_PARAMETER = 20  # the rule that Chinchilla is remembered for


@dataclass(frozen=True)
class Split:
    """A model and what it is trained on.

    Args:
        parameters: Of the model, embeddings included.
        tokens: That it sees, repeated ones included.
    """

    parameters: float
    tokens: float

    @property
    def flops(self) -> float:
        """Floating-point operations of the training."""
        return FLOPS_PER_TOKEN * self.parameters * self.tokens


@dataclass(frozen=True, kw_only=True)
class ScalingLaw:
    """loss = floor + a / parameters^alpha + b / tokens^beta, in nats per token of the text that it was fitted on."""

    name: str
    floor: float
    a: float
    alpha: float
    b: float
    beta: float

    def loss(self, split: Split) -> float:
        """Predict the loss of a model that sees every token once."""
        return self.floor + self.a / split.parameters**self.alpha + self.b / split.tokens**self.beta

    def for_flops(self, flops: float) -> Split:
        """Return the model with the lowest loss among those whose training takes `flops` (equation 4)."""
        return Split(parameters := self._parameters(flops / FLOPS_PER_TOKEN), flops / FLOPS_PER_TOKEN / parameters)

    def for_parameters(self, parameters: float) -> Split:
        """Return the budget-optimal split of which a model is a part: with the tokens that it needs."""
        product = (parameters / self._parameters(1.0)) ** ((self.alpha + self.beta) / self.beta)
        return Split(parameters, product / parameters)

    def for_tokens(self, tokens: float) -> Split:
        """Return the budget-optimal split of which the tokens are a part: with the model that they are enough for."""
        product = (tokens * self._parameters(1.0)) ** ((self.alpha + self.beta) / self.alpha)
        return Split(product / tokens, tokens)

    def tokens_for(self, loss: float, parameters: float) -> float | None:
        """Return the tokens that bring a model to a loss; None where none would."""
        left = loss - self.floor - self.a / parameters**self.alpha
        return (self.b / left) ** (1 / self.beta) if left > 0 else None

    def _parameters(self, product: float) -> float:
        """Return the best number of parameters where parameters times tokens are `product`."""
        scale = (self.alpha * self.a / (self.beta * self.b)) ** (1 / (self.alpha + self.beta))
        return scale * product ** (self.beta / (self.alpha + self.beta))


REFIT = ScalingLaw(name="refit", floor=1.8172, a=482.01, alpha=0.3478, b=2085.43, beta=0.3658)
# The numbers of the paper's source; its text rounds them to 0.34 and 0.28, which moves the optimum by a fifth.
CHINCHILLA = ScalingLaw(name="Chinchilla", floor=1.6934, a=406.4, alpha=0.3392, b=410.7, beta=0.2849)
