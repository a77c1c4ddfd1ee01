"""Make a model: an architecture from scratch, or a checkpoint to continue."""

import json
from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel
from transformers.integrations import is_deepspeed_zero3_enabled
from transformers.modeling_utils import set_zero3_state

from hf_strategies.distributed.pipeline.loading import load_own_stage
from hf_strategies.distributed.pipeline.place import Place
from hf_strategies.distributed.tensor_parallel import check_splittable, loaded_parts
from hf_strategies.errors import UserError, did_you_mean, first_line
from hf_strategies.models import rwkv, state_spaces
from hf_strategies.models.heads import HEADS, check_head
from hf_strategies.models.mixing import check_attention
from hf_strategies.models.option_checks import resolve_options
from hf_strategies.models.plain_scans import use_plain_scans
from hf_strategies.models.shelf import ARCHITECTURES
from hf_strategies.models.zero3_weights import create_partitioned

# What the host leaves undone where it draws fresh weights, by model type.
INITIALIZE = {
    "mamba": state_spaces.initialize,
    "mamba2": state_spaces.initialize,
    "rwkv": rwkv.initialize,
}
INSTALL = {
    "flash_attention_2": "pip install flash-attn (needs an NVIDIA GPU)",
    "flash_attention_3": "build flash-attn 3 from its repository (needs a Hopper GPU)",
}
INSTALL_FROM_HUB = "pip install 'hf_strategies[kernels]' (Linux with a GPU), which fetches it from the Hub"


def create_config(
    architecture: str,
    *,
    sizes: Mapping[str, int],
    options: Mapping[str, Any] | None = None,
    tokens: Mapping[str, int | None] | None = None,
    overrides: Mapping[str, Any] | None = None,
    **inputs: int,
) -> PretrainedConfig:
    """Build the config of an architecture on the shelf.

    Args:
        architecture: A name on the shelf.
        sizes: Every size that the architecture has, as `resolve_sizes` gives them.
        options: What it is to have besides sizes; those left out are its own.
        tokens: `bos_token_id`, `eos_token_id`, `pad_token_id` of the tokenizer.
        overrides: Other fields of the config.
        inputs: What it reads: `vocab_size` (rows of the embedding) and `max_seq_length` (positions) of text;
            `image_size` (pixels) and `num_channels` of images.

    Raises:
        UserError: An option that the architecture does not have, an override that the config does not have, or one
            of another type; patches that do not fill an image.
    """
    config = ARCHITECTURES[architecture].build(**inputs, **sizes, **resolve_options(architecture, options or {}))
    for name, value in (tokens or {}).items():
        setattr(config, name, value)
    if config.is_encoder_decoder:
        config.decoder_start_token_id = config.pad_token_id  # as T5 does
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


def create_model(
    config: PretrainedConfig, *, head: str = "causal", attn_implementation: str | None = None
) -> PreTrainedModel:
    """Initialise a model from `config`, in float32, with the random state as it is; on the meta device too.

    Args:
        config: Of the model.
        head: What it ends in, a key of `HEADS`.
        attn_implementation: None takes the model's own.

    Raises:
        UserError: The config describes no model, or the attention implementation is not to be had here.
    """
    check_attention(config, attn_implementation)
    build = partial(HEADS[head].from_config, config, attn_implementation=attn_implementation, dtype=torch.float32)
    is_sketch = torch.get_default_device().type == "meta"
    if loaded_parts() > 1 and not is_sketch:
        raise UserError("tensor parallelism splits a checkpoint as it is loaded: name one with model_name_or_path")
    try:
        if not is_deepspeed_zero3_enabled():
            model = build()
        elif not is_sketch:
            model = create_partitioned(build)
        else:
            with set_zero3_state():
                model = build()
    except Exception as error:  # from a wrong activation to an attention that is not installed
        raise _cannot_build("the model", attn_implementation, error) from error
    if config.model_type in INITIALIZE:
        INITIALIZE[config.model_type](model)
    use_plain_scans(model)
    return model


def count_parameters(config: PretrainedConfig, head: str) -> int:
    """Count the parameters of a model without making them.

    Raises:
        UserError: The config describes no model.
    """
    with torch.device("meta"):
        return create_model(deepcopy(config), head=head).num_parameters()


def load_config(
    name_or_path: str,
    *,
    head: str = "causal",
    revision: str | None = None,
    trust_remote_code: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> PretrainedConfig:
    """Load the config of a checkpoint that can be continued with a head: a folder or a Hub name.

    Raises:
        UserError: There is no such checkpoint, the head does not fit it, or an override does not.
    """
    config = read_config(name_or_path, revision=revision, trust_remote_code=trust_remote_code)
    override_config(config, overrides or {})
    check_head(config, head, f"model_name_or_path {name_or_path!r}")
    return config


def read_config(
    name_or_path: str, *, revision: str | None = None, trust_remote_code: bool = False
) -> PretrainedConfig:
    """Load the config of a checkpoint as it is, whatever head it can have.

    Raises:
        UserError: There is no such checkpoint.
    """
    try:
        return AutoConfig.from_pretrained(
            name_or_path, revision=revision or "main", trust_remote_code=trust_remote_code
        )
    except Exception as error:  # a missing file, broken JSON, a refused field
        why = _no_model_but_adapter(Path(name_or_path)) or f"cannot be read: {first_line(error)}"
        raise UserError(f"model_name_or_path {name_or_path!r} {why}") from error


def _no_model_but_adapter(folder: Path) -> str:
    """Say what an adapter's folder holds, and what to name instead; nothing of any other folder."""
    try:
        base = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError):
        return ""
    merged = "".join(f" or {config.parent}, where it is merged" for config in folder.glob("*/config.json"))
    return f"holds an adapter on {base} and no model: name {base}{merged}"


def load_model(
    name_or_path: str, config: PretrainedConfig, *, head: str = "causal", **options: Any
) -> PreTrainedModel:
    """Load a model to continue, head and all; `options` and errors are those of `load_with_new_head`.

    Raises:
        UserError: Weights that the config asks for are missing, or have another shape.
    """
    model, missing = _load(name_or_path, config, head, **options)
    if missing:
        raise UserError(
            f"model_name_or_path {name_or_path!r} lacks {len(missing)} weights that its config asks for "
            f"({missing[0]}, ...)"
        )
    return model


def load_with_new_head(
    name_or_path: str,
    config: PretrainedConfig,
    *,
    head: str,
    revision: str | None = None,
    trust_remote_code: bool = False,
    attn_implementation: str | None = None,
    quantization_config: Any = None,
    place: Place | None = None,
) -> tuple[PreTrainedModel, list[str]]:
    """Load a model for a task, which may have been trained for another.

    Weights come in float32 whatever they were saved in, since an optimizer's small steps are lost in bf16 weights;
    `--bf16` computes in bf16 all the same.

    Args:
        name_or_path: A folder or a Hub name.
        config: As `load_config` gave it for the same head.
        head: What it ends in, a key of `HEADS`.
        revision: Branch, tag or commit on the Hub.
        trust_remote_code: Run code that comes with it.
        attn_implementation: None takes the model's own.
        quantization_config: How the host quantizes weights as it loads them; None not at all.
        place: Of this process in a pipeline: the weights of other stages stay on the meta device. None loads all.

    Returns:
        The model, and the names of the weights that the checkpoint does not have, or has in another shape: they are
        initialised, with the random state as it is.

    Raises:
        UserError: The weights are not there, or are damaged; or the attention implementation is not to be had here.
    """
    return _load(
        name_or_path,
        config,
        head,
        revision=revision,
        trust_remote_code=trust_remote_code,
        attn_implementation=attn_implementation,
        place=place,
        ignore_mismatched_sizes=True,
        **({} if quantization_config is None else {"quantization_config": quantization_config}),
    )


def _load(
    name_or_path: str,
    config: PretrainedConfig,
    head: str,
    *,
    revision: str | None = None,
    attn_implementation: str | None = None,
    place: Place | None = None,
    **options: Any,
) -> tuple[PreTrainedModel, list[str]]:
    check_attention(config, attn_implementation)
    options |= {"dtype": torch.float32, "attn_implementation": attn_implementation}
    source = {"revision": revision or "main"}
    if (parts := loaded_parts()) > 1:
        from transformers.distributed import DistributedConfig

        check_splittable(config, parts)
        options["distributed_config"] = DistributedConfig(tp_size=parts)
    try:
        loaded = None
        if place is not None and not options.get("trust_remote_code"):
            loaded = load_own_stage(_class_of(config, head), name_or_path, config, place, **source, **options)
        model, found = loaded or HEADS[head].from_pretrained(
            name_or_path, config=config, output_loading_info=True, **source, **options
        )
    except UserError:
        raise
    except Exception as error:
        raise _cannot_build(f"model_name_or_path {name_or_path!r}", attn_implementation, error) from error
    use_plain_scans(model)
    return model, sorted([*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])])


def _class_of(config: PretrainedConfig, head: str) -> type[PreTrainedModel]:
    """Return the class that a config's models with a head have."""
    with torch.device("meta"):
        return type(create_model(config, head=head))


def _cannot_build(what: str, attn_implementation: str | None, error: Exception) -> UserError:
    if attn_implementation is None:
        return UserError(f"{what} cannot be built: {first_line(error)}")
    cure = INSTALL_FROM_HUB if "/" in attn_implementation else INSTALL.get(attn_implementation)
    return UserError(
        f"{what} cannot be built with attn_implementation {attn_implementation}: {first_line(error)}"
        + (f"; {cure}" if cure else "")
    )
