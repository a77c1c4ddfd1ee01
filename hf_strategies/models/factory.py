"""Make a model: an architecture from scratch, or a checkpoint to continue."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from hf_strategies.errors import UserError, did_you_mean, first_line
from hf_strategies.models.shelf import ARCHITECTURES

INSTALL = {
    "flash_attention_2": "pip install flash-attn (needs an NVIDIA GPU)",
    "flash_attention_3": "build flash-attn 3 from its repository (needs a Hopper GPU)",
}


def create_config(
    architecture: str,
    *,
    vocab_size: int,
    max_seq_length: int,
    sizes: Mapping[str, int],
    tokens: Mapping[str, int | None],
    overrides: Mapping[str, Any] | None = None,
) -> PretrainedConfig:
    """Build the config of an architecture on the shelf.

    Args:
        architecture: A name on the shelf.
        vocab_size: Rows of the embedding.
        max_seq_length: Positions.
        sizes: Every size that the architecture has, as `resolve_sizes` gives them.
        tokens: `bos_token_id`, `eos_token_id`, `pad_token_id` of the tokenizer.
        overrides: Other fields of the config.

    Raises:
        UserError: An override that the config does not have, or of another type.
    """
    config = ARCHITECTURES[architecture].build(vocab_size=vocab_size, max_seq_length=max_seq_length, **sizes)
    for name, value in tokens.items():
        setattr(config, name, value)
    override_config(config, overrides or {})
    return config


def override_config(config: PretrainedConfig, overrides: Mapping[str, Any]) -> None:
    """Set fields of `config` in place.

    Raises:
        UserError: A field that the config does not have, or a value that it does not take.
    """
    known = config.to_dict()
    for name, value in overrides.items():
        if name not in known:
            guess = did_you_mean(name, known)
            raise UserError(f"config_overrides: {type(config).__name__} has no field {name!r}{guess}")
        now = known[name]
        number_for_number = isinstance(now, float) and isinstance(value, int)
        same_kind = now is None or value is None or type(value) is type(now) or number_for_number
        try:
            if not same_kind:
                raise TypeError(f"expected {type(now).__name__}, like {now!r}")
            setattr(config, name, value)
        except Exception as error:  # configs check their fields in ways of their own
            raise UserError(f"config_overrides: {name} cannot be {value!r}: {first_line(error)}") from error


def create_model(config: PretrainedConfig, *, attn_implementation: str | None = None) -> PreTrainedModel:
    """Initialise a causal language model from `config`, in float32, with the random state as it is.

    Raises:
        UserError: The config describes no model, or the attention implementation is not to be had here.
    """
    try:
        return AutoModelForCausalLM.from_config(config, attn_implementation=attn_implementation, dtype=torch.float32)
    except Exception as error:  # from a wrong activation to an attention that is not installed
        raise _cannot_build("the model", attn_implementation, error) from error


def load_config(
    name_or_path: str,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> PretrainedConfig:
    """Load the config of a checkpoint that can be continued as a causal language model: a folder or a Hub name.

    Raises:
        UserError: There is no such checkpoint, it is an encoder, or an override does not fit.
    """
    try:
        config = AutoConfig.from_pretrained(
            name_or_path, revision=revision or "main", trust_remote_code=trust_remote_code
        )
    except Exception as error:  # a missing file, broken JSON, a refused field
        raise UserError(f"model_name_or_path {name_or_path!r} cannot be read: {first_line(error)}") from error
    encoder = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", True)
    if encoder or config.is_encoder_decoder:
        raise UserError(
            f"model_name_or_path {name_or_path!r} is a {config.model_type}, which sees the whole text: the causal "
            "objective needs a decoder"
        )
    override_config(config, overrides or {})
    return config


def load_model(
    name_or_path: str,
    config: PretrainedConfig,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    attn_implementation: str | None = None,
) -> PreTrainedModel:
    """Load a causal language model to continue.

    Weights come in float32 whatever they were saved in, since an optimizer's small steps are lost in bf16 weights;
    `--bf16` computes in bf16 all the same.

    Args:
        name_or_path: A folder or a Hub name.
        config: As `load_config` gave it.
        revision: Branch, tag or commit on the Hub.
        trust_remote_code: Run code that comes with it.
        attn_implementation: None takes the model's own.

    Raises:
        UserError: The weights are not there, are damaged, or do not fit the config; or the attention implementation is
            not to be had here.
    """
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            name_or_path,
            config=config,
            dtype=torch.float32,
            attn_implementation=attn_implementation,
            revision=revision or "main",
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    except Exception as error:
        raise _cannot_build(f"model_name_or_path {name_or_path!r}", attn_implementation, error) from error
    if found["missing_keys"]:
        missing = sorted(found["missing_keys"])
        raise UserError(
            f"model_name_or_path {name_or_path!r} lacks {len(missing)} weights that its config asks for "
            f"({missing[0]}, ...)"
        )
    return model


def _cannot_build(what: str, attn_implementation: str | None, error: Exception) -> UserError:
    if attn_implementation is None:
        return UserError(f"{what} cannot be built: {first_line(error)}")
    cure = f"; {INSTALL[attn_implementation]}" if attn_implementation in INSTALL else ""
    return UserError(
        f"{what} cannot be built with attn_implementation {attn_implementation}: {first_line(error)}{cure}"
    )
