"""What ZeRO has written: each rank's slice of flat tensors, put together again by the names of parameters.

DeepSpeed's own way to another number of processes (`ds_to_universal`) takes a second copy of everything on disk, knows
Adam's state alone, and gives all groups of ZeRO-3 the settings of the first one. Its files are pickles; they are read
as data, so that neither their code runs nor DeepSpeed has to be installed.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hf_strategies.checkpoints.weight_files import bare, read_weight, stored_weights
from hf_strategies.errors import UserError, first_line

LATEST = "latest"  # names the folder of the engine's newest files
OPTIMIZER_FILE = re.compile(r"(?:bf16_|fp16_)?zero_pp_rank_(\d+)_mp_rank_(\d+)_optim_states\.pt")
MODEL_FILES = "*_model_states.pt"


class _Stored:
    """Stands in for a class of DeepSpeed's: its attributes are kept, its code does not run."""

    def __init__(self, *args: Any) -> None:
        self.args = args


CLASSES = (
    "deepspeed.utils.tensor_fragment.fragment_address",
    "deepspeed.runtime.zero.config.ZeroStageEnum",
    "deepspeed.runtime.fp16.loss_scaler.LossScaler",
    "deepspeed.runtime.fp16.loss_scaler.DynamicLossScaler",
)


@dataclass(frozen=True)
class Piece:
    """A stretch of one parameter in a rank's flat tensor of one group (in ZeRO-3: of one subgroup).

    Args:
        stage: Of a pipeline; 0 without one.
        rank: Whose, of that stage.
        group: Which of its flat tensors.
        start: Of the stretch in it.
        numel: Elements of the stretch.
    """

    stage: int
    rank: int
    group: int
    start: int
    numel: int


def engine_folder(checkpoint: Path) -> Path | None:
    """Return the folder of DeepSpeed's engine in a checkpoint; None where there is none."""
    latest = checkpoint / LATEST
    name = latest.read_text(encoding="utf-8").strip() if latest.is_file() else ""
    folder = checkpoint / name
    if name and "/" not in name and folder.is_dir():
        return folder
    folders = sorted(item for item in checkpoint.glob("global_step*") if item.is_dir())
    return folders[-1] if folders else None


def parts_of(folder: Path) -> dict[int, dict[int, Path]]:
    """Find the files of ZeRO's ranks in an engine's folder, by stage of a pipeline (0 without one) and by rank."""
    found: dict[int, dict[int, Path]] = {}
    for path in folder.iterdir():
        named = OPTIMIZER_FILE.fullmatch(path.name)
        if named is not None:
            found.setdefault(int(named[2]), {})[int(named[1])] = path
    return found


def _all_parts(folder: Path) -> list[list[Path]]:
    """Return what `parts_of` finds, as lists by stage and rank.

    Raises:
        UserError: There is nothing, or a rank's is missing.
    """
    found = parts_of(folder)
    if not found:
        raise UserError(f"{folder} holds no state of ZeRO")
    stages, ranks = range(max(found) + 1), range(max(map(max, found.values())) + 1)
    missing = [(stage, rank) for stage in stages for rank in ranks if rank not in found.get(stage, {})]
    if missing:
        stage, rank = missing[0]
        of_stage = f" of stage {stage}" if len(stages) > 1 else ""
        raise UserError(
            f"{folder} lacks the part of process {rank}{of_stage}: bring the files of all of them together"
        )
    return [[found[stage][rank] for rank in ranks] for stage in stages]


class ZeroState:
    """The state in a checkpoint of ZeRO-1, 2 or 3, also of the stages of a pipeline; a `TrainingState`.

    Args:
        checkpoint: Its folder.

    Raises:
        UserError: A file is missing or damaged.
    """

    def __init__(self, checkpoint: Path) -> None:
        folder = engine_folder(checkpoint)
        if folder is None:
            raise UserError(f"{checkpoint} holds no state of ZeRO")
        self._checkpoint = checkpoint
        self._parts = [[load(file)["optimizer_state_dict"] for file in files] for files in _all_parts(folder)]
        self._models = [load(file) for file in sorted(folder.glob(MODEL_FILES), key=_order_of)]
        if not self._models:
            raise UserError(f"{folder} lacks the model's shapes (*_model_states.pt)")
        first = self._parts[0][0]
        is_partitioned = "fp32_flat_groups" in first
        self._flat = "fp32_flat_groups" if is_partitioned else "single_partition_of_fp32_groups"
        self._kept = "optimizer_state_dict" if is_partitioned else "base_optimizer_state"
        groups = {
            group.get("name", number): {name: value for name, value in group.items() if name != "params"}
            for part, *_ in reversed(self._parts)
            for number, group in enumerate(part[self._kept]["param_groups"])
        }
        self.groups: list[dict[str, Any]] = list(groups.values())
        scaler = first.get("loss_scaler")
        self.loss_scale: float | None = getattr(scaler, "cur_scale", None) if first.get("dynamic_loss_scale") else None
        shapes = [shape for model in self._models for group in model["param_shapes"] for shape in group.items()]
        self._shapes = {bare(name): shape for name, shape in shapes}
        self._pieces = self._divided_pieces() if is_partitioned else self._mapped_pieces()

    @cached_property
    def names(self) -> set[str]:
        return {*self._shapes, *self._untrained}

    def weight(self, name: str) -> Tensor:
        if name not in self._shapes:
            return self._untrained[name]
        return self._joined(name, [self._flat_of(piece) for piece in self._pieces[name]])

    def kept(self, name: str) -> dict[str, Any]:
        pieces = self._pieces.get(name, [])
        states = [self._parts[piece.stage][piece.rank][self._kept]["state"].get(piece.group, {}) for piece in pieces]
        found = {}
        for key, value in (states[0] if states else {}).items():
            is_flat = isinstance(value, Tensor) and value.ndim == 1 and len(value) >= len(self._flat_of(pieces[0]))
            found[key] = self._joined(name, [state[key] for state in states]) if is_flat else value
        return found

    def _flat_of(self, piece: Piece) -> Tensor:
        return self._parts[piece.stage][piece.rank][self._flat][piece.group]

    def _joined(self, name: str, flats: list[Tensor]) -> Tensor:
        pieces = self._pieces[name]
        return torch.cat(
            [flat.narrow(0, piece.start, piece.numel) for flat, piece in zip(flats, pieces, strict=True)]
        ).view(self._shapes[name])

    def _mapped_pieces(self) -> dict[str, list[Piece]]:
        """Read where ZeRO-1 and 2 say that their pieces are; ranks hold a group's elements in their own order.

        What two stages hold alike, a tied embedding, is taken from the first.
        """
        pieces: dict[str, list[Piece]] = {}
        for stage, parts in enumerate(self._parts):
            for rank, part in enumerate(parts):
                for group, mapping in enumerate(part["param_slice_mappings"]):
                    for name, place in mapping.items():
                        there = pieces.setdefault(bare(name), [])
                        if not there or there[0].stage == stage:
                            there.append(Piece(stage, rank, group, place.start, place.numel))
        return pieces

    def _divided_pieces(self) -> dict[str, list[Piece]]:
        """Work out where ZeRO-3 has put its pieces: each parameter divided by the ranks, rounded up."""
        pieces: dict[str, list[Piece]] = {}
        ranks = range(len(self._parts[0]))
        for group, shapes in enumerate(self._models[0]["param_shapes"]):
            start = 0
            for name, shape in shapes.items():
                numel = torch.Size(shape).numel()
                size = -(-numel // len(ranks))
                held = [min(size, max(numel - rank * size, 0)) for rank in ranks]
                pieces[bare(name)] = [Piece(0, rank, group, start, held[rank]) for rank in ranks]
                start += size
        return pieces

    @cached_property
    def _untrained(self) -> dict[str, Tensor]:
        """Frozen weights and buffers, which no optimizer holds."""
        model = self._models[0]
        if model["module"] is None:  # of a pipeline, whose weights are in files of their own
            stored = stored_weights(self._checkpoint)
            return {name: read_weight(*place) for name, place in stored.items() if name not in self._shapes}
        if self._flat != "fp32_flat_groups":
            return {bare(name): value for name, value in model["module"].items() if bare(name) not in self._shapes}
        found = {bare(name): model["module"][name] for name in model["buffer_names"]}
        for name, shape in (model["frozen_param_shapes"] or {}).items():
            pieces = [stored["frozen_param_fragments"][name].flatten() for stored in self._models]
            found[bare(name)] = torch.cat(pieces)[: torch.Size(shape).numel()].view(shape)
        return found


def load(file: Path) -> dict[str, Any]:
    """Map one of DeepSpeed's files into memory, as data.

    Raises:
        UserError: It is damaged, or more than data.
    """
    stand_ins: list[Any] = [(_stand_in(), name) for name in CLASSES]
    try:
        with torch.serialization.safe_globals(stand_ins):
            return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        EOFError,
        torch.serialization.pickle.UnpicklingError,
    ) as error:
        raise UserError(f"{file} is not loaded: damaged, or more than data ({first_line(error)[:100]})") from error


def stage_of(stored: dict[str, Any]) -> int:
    """Return the stage of ZeRO that wrote a rank's file; bf16's own optimizer does not say that it is the first."""
    return int(getattr(stored.get("zero_stage"), "args", (1,))[0])


def _stand_in() -> type[_Stored]:
    """Return a class of its own for each name: torch keeps them by class."""
    return type("Stored", (_Stored,), {})


def _order_of(file: Path) -> tuple[int, ...]:
    """Return a model file's rank and stage, as far as it has them in its name."""
    return tuple(map(int, re.findall(r"rank_(\d+)", file.name)))
