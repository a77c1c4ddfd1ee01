"""The sizes and settings of an LSTM or a GRU."""

from huggingface_hub.dataclasses import strict
from transformers import PretrainedConfig


@strict
class RecurrentConfig(PretrainedConfig):
    """A stack of recurrent layers.

    Args:
        cell: "lstm" or "gru".
        vocab_size: Rows of the embedding.
        hidden_size: Width of the embedding and of every layer.
        num_hidden_layers: Layers.
        bidirectional: Whether each layer reads rows both ways, with half of its width for each; None lets the head
            say: a classifier does, a language model cannot.
        dropout: Of the embeddings and of what each layer puts out.
        embedding_range: Standard deviation of fresh embeddings: wide enough to move gates from the first update on.
            Of 0.05 to 0.5, tried at widths of 32 and 192, 0.3 starts near the log of the vocabulary and falls fast.
        initializer_range: Of fresh heads.
        tie_word_embeddings: Whether a language model's head is the embedding.
        use_cache: Whether a language model returns its state while it generates.
    """

    model_type = "recurrent"
    keys_to_ignore_at_inference = ["state"]  # noqa: RUF012 - the host reads it from the class

    cell: str = "lstm"
    vocab_size: int = 32000
    hidden_size: int = 650
    num_hidden_layers: int = 2
    bidirectional: bool | None = None
    dropout: float | int = 0.0
    embedding_range: float = 0.3
    initializer_range: float = 0.02
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    tie_word_embeddings: bool = True
    use_cache: bool = True

    def validate_architecture(self) -> None:
        """Raise a `ValueError` if there is no such cell, or a width has no half."""
        if self.cell not in ("lstm", "gru"):
            raise ValueError(f"cell must be lstm or gru, got {self.cell!r}")
        if self.bidirectional and self.hidden_size % 2:
            raise ValueError(f"hidden_size must be even to be read both ways, got {self.hidden_size}")
