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

from hf_strategies.errors import UserError, first_line
from hf_strategies.module_tree.names import WRAPPERS

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
        rank: Whose.
        group: Which of its flat tensors.
        start: Of the stretch in it.
        numel: Elements of the stretch.
    """

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


def optimizer_files(folder: Path) -> list[Path]:
    """List the files of ZeRO's ranks in an engine's folder, by rank; none where the engine ran without ZeRO.

    Raises:
        UserError: A rank's is missing.
    """
    found = {}
    for path in folder.iterdir():
        named = OPTIMIZER_FILE.fullmatch(path.name)
        if named is not None:
            found[int(named[1])] = path
    missing = sorted(set(range(max(found, default=-1) + 1)) - set(found))
    if missing:
        raise UserError(f"{folder} lacks the part of process {missing[0]}: bring the files of all of them together")
    return [found[rank] for rank in sorted(found)]


class ZeroState:
    """The state in a checkpoint of ZeRO-1, 2 or 3; a `TrainingState`.

    Args:
        checkpoint: Its folder.

    Raises:
        UserError: A file is missing or damaged.
    """

    def __init__(self, checkpoint: Path) -> None:
        folder = engine_folder(checkpoint)
        files = [] if folder is None else optimizer_files(folder)
        if folder is None or not files:
            raise UserError(f"{checkpoint} holds no state of ZeRO")
        self._ranks = [load(file)["optimizer_state_dict"] for file in files]
        self._models = [load(file) for file in sorted(folder.glob(MODEL_FILES), key=_rank_of)]
        if not self._models:
            raise UserError(f"{folder} lacks the model's shapes (*_model_states.pt)")
        first = self._ranks[0]
        self.stage = stage_of(first)
        is_whole = "fp32_flat_groups" not in first
        self._flat = "single_partition_of_fp32_groups" if is_whole else "fp32_flat_groups"
        self._kept = "base_optimizer_state" if is_whole else "optimizer_state_dict"
        groups = first[self._kept]["param_groups"]
        self.groups: list[dict[str, Any]] = [
            {name: value for name, value in group.items() if name != "params"} for group in groups
        ]
        scaler = first.get("loss_scaler")
        self.loss_scale: float | None = getattr(scaler, "cur_scale", None) if first.get("dynamic_loss_scale") else None
        shapes = [shape for group in self._models[0]["param_shapes"] for shape in group.items()]
        self._shapes = {bare(name): shape for name, shape in shapes}
        self._pieces = self._mapped_pieces() if is_whole else self._divided_pieces()

    @property
    def num_ranks(self) -> int:
        return len(self._ranks)

    @cached_property
    def names(self) -> set[str]:
        return {*self._shapes, *self._untrained}

    def weight(self, name: str) -> Tensor:
        if name not in self._shapes:
            return self._untrained[name]
        pieces = [self._ranks[piece.rank][self._flat][piece.group] for piece in self._pieces[name]]
        return self._joined(name, pieces)

    def kept(self, name: str) -> dict[str, Any]:
        pieces = self._pieces.get(name, [])
        states = [self._ranks[piece.rank][self._kept]["state"].get(piece.group, {}) for piece in pieces]
        found = {}
        for key, value in (states[0] if states else {}).items():
            length = self._ranks[pieces[0].rank][self._flat][pieces[0].group].numel()
            is_flat = isinstance(value, Tensor) and value.ndim == 1 and value.numel() >= length
            found[key] = self._joined(name, [state[key] for state in states]) if is_flat else value
        return found

    def _joined(self, name: str, flats: list[Tensor]) -> Tensor:
        pieces = self._pieces[name]
        return torch.cat(
            [flat.narrow(0, piece.start, piece.numel) for flat, piece in zip(flats, pieces, strict=True)]
        ).view(self._shapes[name])

    def _mapped_pieces(self) -> dict[str, list[Piece]]:
        """Read where ZeRO-1 and 2 say that their pieces are; ranks hold a group's elements in their own order."""
        pieces: dict[str, list[Piece]] = {}
        for rank, stored in enumerate(self._ranks):
            for group, mapping in enumerate(stored["param_slice_mappings"]):
                for name, place in mapping.items():
                    pieces.setdefault(bare(name), []).append(Piece(rank, group, place.start, place.numel))
        return pieces

    def _divided_pieces(self) -> dict[str, list[Piece]]:
        """Work out where ZeRO-3 has put its pieces: each parameter divided by the ranks, rounded up."""
        pieces: dict[str, list[Piece]] = {}
        for group, shapes in enumerate(self._models[0]["param_shapes"]):
            start = 0
            for name, shape in shapes.items():
                numel = torch.Size(shape).numel()
                size = -(-numel // self.num_ranks)
                held = [min(size, max(numel - rank * size, 0)) for rank in range(self.num_ranks)]
                pieces[bare(name)] = [Piece(rank, group, start, count) for rank, count in enumerate(held)]
                start += size
        return pieces

    @cached_property
    def _untrained(self) -> dict[str, Tensor]:
        """Frozen weights and buffers, which no optimizer holds."""
        model = self._models[0]
        if self.stage < 3:
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


def bare(name: str) -> str:
    """Return a parameter's name in the bare model."""
    return WRAPPERS.sub("", name)


def _stand_in() -> type[_Stored]:
    """Return a class of its own for each name: torch keeps them by class."""
    return type("Stored", (_Stored,), {})


def _rank_of(file: Path) -> int:
    named = re.search(r"zero_pp_rank_(\d+)", file.name)
    return int(named[1]) if named else 0
