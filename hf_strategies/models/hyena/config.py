"""The sizes and settings of a Hyena."""

from huggingface_hub.dataclasses import strict
from transformers import PretrainedConfig


@strict
class HyenaConfig(PretrainedConfig):
    """A decoder of Hyena operators and feed-forward layers, without attention and without positions.

    Args:
        vocab_size: Rows of the embedding.
        hidden_size: Width of the residual stream.
        num_hidden_layers: Blocks.
        intermediate_size: Width inside the feed-forward layers; None takes four times `hidden_size`.
        max_position_embeddings: Tokens that filters reach over; shorter rows use their beginnings.
        order: Long convolutions, each with a gate, of an operator.
        short_kernel_size: Taps of the convolution on the projections.
        filter_size: Width of the network that filters are computed by.
        filter_depth: Linear layers of that network, at least 2.
        filter_features: What it knows about a position: the position, then a cosine and a sine of so many frequencies
            as make this number, which is odd.
        filter_frequency: What its sines start with as factors of their arguments: high ones make rough filters.
        slow_decay, fast_decay: Shares of the filters' length after which their windows have fallen to 1%, of the
            channel that reaches farthest and of the one that reaches least; the others lie between.
        window_floor: What windows have everywhere above that fall.
        hidden_act: Of the feed-forward layers.
        dropout: Of the embeddings and of what each layer adds.
        initializer_range: Standard deviation of fresh weights.
        layer_norm_epsilon: As the name says.
        tie_word_embeddings: Whether the head is the embedding.
        use_cache: There is no cache, see `HyenaForCausalLM`.
    """

    model_type = "hyena"

    vocab_size: int = 50257
    hidden_size: int = 768
    num_hidden_layers: int = 12
    intermediate_size: int | None = None
    max_position_embeddings: int = 1024
    order: int = 2
    short_kernel_size: int = 3
    filter_size: int = 64
    filter_depth: int = 4
    filter_features: int = 33
    filter_frequency: float = 14.0
    slow_decay: float = 1.5
    fast_decay: float = 0.3
    window_floor: float = 0.0
    hidden_act: str = "gelu_pytorch_tanh"
    dropout: float = 0.0
    initializer_range: float = 0.02
    layer_norm_epsilon: float = 1e-5
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    tie_word_embeddings: bool = True
    use_cache: bool = False

    def __post_init__(self, **kwargs) -> None:
        if self.intermediate_size is None:
            self.intermediate_size = 4 * self.hidden_size
        super().__post_init__(**kwargs)

    def validate_architecture(self) -> None:
        """Raise a `ValueError` if no filter can be made."""
        for name, least in (("order", 1), ("short_kernel_size", 1), ("filter_depth", 2), ("filter_features", 3)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.filter_features % 2 == 0:
            raise ValueError(f"filter_features must be odd, got {self.filter_features}")
        if not 0 < self.fast_decay <= self.slow_decay:
            raise ValueError(
                f"fast_decay must be above 0 and at most slow_decay, got {self.fast_decay} and {self.slow_decay}"
            )
