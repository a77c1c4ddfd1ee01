"""The model and the tokenizer that the settings ask for, and whether they fit each other."""

from pathlib import Path

import torch
from transformers import AutoTokenizer, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from hf_strategies.arguments.topics import ModelArguments
from hf_strategies.checkpoints.trust import refuse_untrusted
from hf_strategies.distributed.pipeline.place import Place
from hf_strategies.distributed.zero import full_shape
from hf_strategies.errors import UserError, first_line
from hf_strategies.models.factory import create_model, load_config, load_model
from hf_strategies.models.heads import HEAD_OF
from hf_strategies.models.isolation import why_texts_meet
from hf_strategies.runs.fresh_model import fresh_config

DEFAULT_BLOCK = 512


def check_trusted(model: ModelArguments) -> None:
    """Refuse a local checkpoint that would reach outside of its folder, or run code that nobody allowed.

    Raises:
        UserError: One line per reason.
    """
    name = model.model_name_or_path
    if name is not None and Path(name).is_dir():
        refuse_untrusted(Path(name), trust_remote_code=model.trust_remote_code)


def resolve_block_size(model: ModelArguments, wanted: int | None, *, objective: str = "causal") -> int:
    """Choose the tokens per block: what was asked for, else 512, never more than a checkpoint has positions for.

    Raises:
        UserError: More was asked for than the checkpoint has positions for, or there is no such checkpoint.
    """
    positions = None
    if model.model_name_or_path is not None:
        positions = positions_of(_checkpoint_config(model, objective))
    if wanted is not None:
        check_positions(positions, wanted, model.model_name_or_path or "")
    return wanted or min(DEFAULT_BLOCK, positions or DEFAULT_BLOCK)


def positions_of(config: PretrainedConfig) -> int | None:
    """Positions that a model was built for; None where it has no such limit (recurrent models)."""
    return getattr(config, "max_position_embeddings", None)


def check_positions(positions: int | None, block_size: int, name: str) -> None:
    """Raise a `UserError` if a block is longer than a model has positions for."""
    if positions is not None and block_size > positions:
        raise UserError(f"max_seq_length {block_size} is longer than the {positions} positions of {name}")


def load_tokenizer(model: ModelArguments) -> PreTrainedTokenizerBase | None:
    """Load the tokenizer that was named, or the checkpoint's own; None when one is to be trained on the data.

    Raises:
        UserError: There is no such tokenizer.
    """
    name = model.tokenizer_name or model.model_name_or_path
    if name is None:
        return None
    revision = "main" if model.tokenizer_name else model.model_revision or "main"
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=model.trust_remote_code)
    except Exception as error:  # a missing file, broken JSON, a package that it needs
        which = "tokenizer_name" if model.tokenizer_name else "model_name_or_path"
        raise UserError(f"{which} {name!r} has no tokenizer that can be read: {first_line(error)}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # fills the last block only, where nothing is learned
    return tokenizer


def build_model(
    model: ModelArguments,
    tokenizer: PreTrainedTokenizerBase,
    *,
    block_size: int,
    isolate_documents: bool,
    rows: int,
    objective: str = "causal",
    place: Place | None = None,
) -> PreTrainedModel:
    """Make the model that the settings ask for, in float32.

    Args:
        model: What was asked for.
        tokenizer: Whose tokens it is shown.
        block_size: Tokens of a row.
        isolate_documents: Whether the documents of a row must not see each other.
        rows: Of a batch, at most.
        objective: What it is trained for.
        place: Of this process in a pipeline, which reads no more of a checkpoint than its stage; None without one.

    Raises:
        UserError: Sizes that do not fit, a tokenizer larger than the embedding, an attention that is not there.
    """
    if model.model_name_or_path is not None:
        name = model.model_name_or_path
        built = load_model(
            name,
            _checkpoint_config(model, objective),
            head=HEAD_OF[objective],
            revision=model.model_revision,
            trust_remote_code=model.trust_remote_code,
            attn_implementation=model.attn_implementation,
            place=place,
        )
    else:
        name = str(model.architecture)
        tokens = special_tokens(tokenizer)
        config = _fresh_config(model, max(len(tokenizer), model.vocab_size or 0), tokens, block_size, objective)
        check_positions(positions_of(config), block_size, name)
        built = create_model(config, head=HEAD_OF[objective], attn_implementation=model.attn_implementation)
    check_vocabulary(built, tokenizer, name)
    if isolate_documents and (why := why_texts_meet(built, rows=rows)):
        raise UserError(f"isolate_documents: documents would see each other: {why}")
    return built


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, int | None]:
    """Return the tokens of a tokenizer that a model's config names."""
    return {f"{kind}_token_id": getattr(tokenizer, f"{kind}_token_id") for kind in ("bos", "eos", "pad")}


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Raise a `UserError` if a tokenizer has tokens that a model has no embedding for."""
    rows = full_shape(model.get_input_embeddings().weight)[0]
    if len(tokenizer) > rows:
        raise UserError(
            f"the tokenizer has {len(tokenizer)} tokens, the embedding of {name} {rows} rows: take the checkpoint's "
            "own tokenizer, or one that is not larger"
        )


def sketch_model(model: ModelArguments, *, block_size: int, objective: str = "causal") -> PreTrainedModel:
    """Make the model that the settings ask for without its weights and before its tokenizer is known.

    Its parameters have their names and, the vocabulary aside, their shapes.

    Raises:
        UserError: There is no such checkpoint, or it describes no model.
    """
    if model.model_name_or_path is not None:
        config = _checkpoint_config(model, objective)
    else:
        config = _fresh_config(model, model.vocab_size or 256, {}, block_size, objective)
    with torch.device("meta"):
        return create_model(config, head=HEAD_OF[objective], attn_implementation=model.attn_implementation)


def _fresh_config(
    model: ModelArguments, vocab_size: int, tokens: dict[str, int | None], block_size: int, objective: str
) -> PretrainedConfig:
    return fresh_config(
        model, head=HEAD_OF[objective], tokens=tokens, vocab_size=vocab_size, max_seq_length=block_size
    )


def _checkpoint_config(model: ModelArguments, objective: str) -> PretrainedConfig:
    assert model.model_name_or_path is not None
    return load_config(
        model.model_name_or_path,
        head=HEAD_OF[objective],
        revision=model.model_revision,
        trust_remote_code=model.trust_remote_code,
        overrides=model.config_overrides,
    )
