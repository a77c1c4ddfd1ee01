"""`averages.safetensors`: what a checkpoint holds of an average besides the model, which is the average itself."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hf_strategies.errors import UserError, first_line

STEM = "averages"


def averages_file(folder: Path, rank: int | None) -> Path:
    """Name the file in a checkpoint's folder; where each rank has its own shards it has a file, too."""
    return folder / (f"{STEM}.safetensors" if rank is None else f"{STEM}_{rank}.safetensors")


def holds_averages(folder: Path) -> bool:
    """Tell whether the model in a checkpoint's folder is an average."""
    return any(folder.glob(f"{STEM}*.safetensors"))


def write_averages(file: Path, average: str, count: int, tensors: Mapping[str, Tensor]) -> None:
    """Write the tensors of an average of `count` values; `average` is its name on the shelf."""
    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    save_file(contiguous, file, {"average": average, "count": str(count)})


def read_averages(file: Path, average: str) -> tuple[int, dict[str, Tensor]]:
    """Read what `write_averages` wrote: the count, and the tensors on the CPU.

    Raises:
        UserError: It is of another kind of average, or damaged.
    """
    try:
        with safe_open(file, "pt") as stored:
            metadata = stored.metadata()
            kind, count = metadata["average"], int(metadata["count"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - it is no dict
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
        raise UserError(f"{file}: damaged ({first_line(error)}): resume from an earlier checkpoint") from error
    if kind != average:
        raise UserError(
            f"{file} holds an average of kind {kind!r}, this run's is {average!r}: resume with the checkpoint's, or "
            "start a new run from its model"
        )
    return count, tensors
