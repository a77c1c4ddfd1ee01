"""The sizes and settings of a Transformer of 2017."""

from huggingface_hub.dataclasses import strict
from transformers import OPTConfig


@strict
class TransformerConfig(OPTConfig):
    """OPT's config, whose layers it has, and what OPT leaves out.

    Args:
        positions: "sinusoidal" or "learned".
        do_layer_norm_before: Whether each layer reads a norm of the residual stream, and a last norm follows (pre), or
            the stream itself is the norm of each sum (post), as the paper has it.
        dropout: Of the embeddings, and of what each layer adds.
    """

    model_type = "transformer_2017"
    attribute_map = {"intermediate_size": "ffn_dim"}  # noqa: RUF012 - the host reads it from the class

    positions: str = "sinusoidal"
    do_layer_norm_before: bool = False
    dropout: float | int = 0.0
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None

    def validate_architecture(self) -> None:
        """Raise a `ValueError` if there are no such positions."""
        if self.positions not in ("sinusoidal", "learned"):
            raise ValueError(f"positions must be sinusoidal or learned, got {self.positions!r}")
