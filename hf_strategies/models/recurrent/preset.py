"""Configs of recurrent models at the sizes that were asked for."""

from hf_strategies.models.recurrent.config import RecurrentConfig


def lstm(**asked) -> RecurrentConfig:
    """LSTM: a state of fixed size, so memory and the cost of a token do not grow with a row.

    Steps follow one another, so that long rows are slow on a GPU. Documents that share a row share its state. On small
    data it wants dropout, 0.2 to 0.65 the more the wider it is (https://arxiv.org/abs/1409.2329).
    """
    return _config("lstm", **asked)


def gru(**asked) -> RecurrentConfig:
    """GRU: as an LSTM, with three gates for four, and one state."""
    return _config("gru", **asked)


def _config(
    cell: str,
    *,
    vocab_size: int,
    max_seq_length: int,  # noqa: ARG001 - it has no limit
    hidden_size: int,
    num_hidden_layers: int,
    bidirectional: bool | None,
    tie_embeddings: bool,
    dropout: float,
) -> RecurrentConfig:
    return RecurrentConfig(
        cell=cell,
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        bidirectional=bidirectional,
        tie_word_embeddings=tie_embeddings,
        dropout=dropout,
    )
