"""From a checkpoint, however its weights are spread over files and processes, to a folder for `from_pretrained`."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoConfig, PretrainedConfig

from hf_strategies.checkpoints.choice import checkpoints_in
from hf_strategies.checkpoints.layout import layout_of
from hf_strategies.checkpoints.manifest import damages, read_manifest
from hf_strategies.checkpoints.sharded_state import MODEL, ShardedState
from hf_strategies.checkpoints.training_state import TrainingState
from hf_strategies.checkpoints.trust import refuse_untrusted
from hf_strategies.checkpoints.weight_files import ADAPTER, stored_weights
from hf_strategies.checkpoints.zero_state import ZeroState, engine_folder
from hf_strategies.errors import NoCheckpointError, UserError, first_line

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PICKLED = ("pytorch_model.bin", "pytorch_model-*.bin", "adapter_model.bin")  # weights of older releases
# What is of the training, and not of the model.
TRAINING = (
    *("optimizer*", "scheduler.pt", "scaler.pt", "rng_state*.pth", "trainer_state.json", "training_args.bin"),
    *("global_step*", "latest*", "zero_to_*.py", "pytorch_model_fsdp*", "averages*.safetensors"),
    *("manifest.json", "position.json", "guard.json", "loss_since_log*.json"),
)


def convert(source: Path, out: Path) -> str:
    """Write the model in a checkpoint as a plain Hugging Face folder, and return a line about it.

    The weights get the type that the run's own model has in its `config.json`. All of them are in memory once, where
    they are only in shards of ZeRO-3 or FSDP; otherwise files are copied. `out` is whole or not there.

    Args:
        source: A checkpoint, or a run's folder, whose newest whole checkpoint it then is.
        out: The new folder.

    Raises:
        UserError: `source` is no checkpoint, damaged, or not to be trusted; `out` is there, or cannot be written.
        NoCheckpointError: All of a run's checkpoints are damaged.
    """
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} is there already: name a new folder")
    checkpoint = _chosen(source)
    refuse_untrusted(checkpoint)
    draft = out.with_name(f".{out.name}.converting")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        _copy_model_files(checkpoint, draft)
        if not _has_weights(checkpoint):
            _write_weights(checkpoint, _state_of(checkpoint), draft)
        draft.rename(out)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror or first_line(error)}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return f"{out}: the model of {checkpoint}, which was trained by {layout_of(checkpoint)}"


def _chosen(source: Path) -> Path:
    """Return the checkpoint that is meant, once it has proven that it is whole, where it can."""
    if not source.is_dir():
        raise UserError(f"{source} is not a checkpoint: there is no such folder")
    found = checkpoints_in(source)
    proven = [item for item in found if read_manifest(item) is not None]
    if not found:
        if not _has_weights(source) and engine_folder(source) is None and not (source / MODEL).is_dir():
            raise UserError(f"{source} is not a checkpoint: it has no weights, and no checkpoint-N in it")
        if read_manifest(source) is not None and (said := damages(source)):
            raise UserError("; ".join(said[:3]))
        return source
    whole = next((item for item in proven if not damages(item)), None)
    if whole is None and proven:
        raise NoCheckpointError(f"{source}: none of its {len(proven)} checkpoints is whole: {damages(proven[0])[0]}")
    return whole or found[0]


def _has_weights(folder: Path) -> bool:
    """Tell whether a folder has whole weights; what is saved under ZeRO-3 may be an empty file."""
    return bool(stored_weights(folder)) or any(any(folder.glob(pattern)) for pattern in PICKLED)


def _state_of(checkpoint: Path) -> TrainingState:
    return ShardedState(checkpoint) if (checkpoint / MODEL).is_dir() else ZeroState(checkpoint)


def _copy_model_files(checkpoint: Path, draft: Path) -> None:
    left_out = shutil.ignore_patterns(*TRAINING)
    shutil.copytree(checkpoint, draft, ignore=left_out, dirs_exist_ok=True)


def _write_weights(checkpoint: Path, state: TrainingState, draft: Path) -> None:
    if (draft / ADAPTER_CONFIG).is_file():
        _write_adapter(checkpoint, state, draft)
        return
    if not (draft / "config.json").is_file():
        raise UserError(f"{checkpoint} has no config.json: put the model's beside its shards")
    config = AutoConfig.from_pretrained(draft)
    dtype = config.dtype or torch.float32
    with torch.device("meta"):
        model = _model_class(checkpoint, config)(config)
    known = model.state_dict()
    weights = {name: state.weight(name).to(_dtype_of(known[name], dtype)) for name in known if name in state.names}
    model.load_state_dict(weights, strict=False, assign=True)
    model.tie_weights()
    lacking = [name for name, tensor in model.state_dict().items() if tensor.is_meta]
    if lacking:
        raise UserError(f"{checkpoint} lacks {len(lacking)} weights of a {type(model).__name__}, such as {lacking[0]}")
    model.save_pretrained(draft)


def _dtype_of(tensor: torch.Tensor, dtype: torch.dtype) -> torch.dtype:
    return dtype if tensor.is_floating_point() else tensor.dtype


def _model_class(checkpoint: Path, config: PretrainedConfig) -> Any:
    name = next(iter(config.architectures or []), "")
    if not hasattr(transformers, name):
        raise UserError(f"{checkpoint}: its config.json names a class {name!r}, which transformers does not have")
    return getattr(transformers, name)


def _write_adapter(checkpoint: Path, state: TrainingState, draft: Path) -> None:
    """Write what PEFT writes of an adapter: its weights without the adapter's name."""
    kind = json.loads((draft / ADAPTER_CONFIG).read_bytes()).get("peft_type")
    weights = {f"base_model.model.{ADAPTER.sub('', name)}": state.weight(name) for name in sorted(state.names)}
    if any("prompt_encoder" in name for name in weights):
        raise UserError(f"{checkpoint}: an adapter of type {kind} cannot be put together from shards of ZeRO-3")
    save_file({name: weight.contiguous() for name, weight in weights.items()}, draft / ADAPTER_WEIGHTS)
