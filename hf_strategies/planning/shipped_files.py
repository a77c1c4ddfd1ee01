"""Scripts and machine files for those who have no clone: written out of the installed package."""

import shutil
from importlib import metadata
from pathlib import Path

from hf_strategies.errors import UserError

FOLDERS = ("accelerate_configs", "ds_configs", "scripts")
INSTALLED = "share/hf_strategies"  # where pyproject.toml has a wheel put them


def write_configs(out: Path) -> str:
    """Write the scripts and the files of machines and engines into a folder.

    Args:
        out: The folder; made where it is missing. From there `accelerate launch` finds all of them.

    Returns:
        What was written and how to go on, for its user.

    Raises:
        UserError: A file of that name is there already, the folder cannot be written, or the package is incomplete.
    """
    found = shipped_files()
    there = [name for name in found if (out / name).exists()]
    if there:
        raise UserError(f"{out} has {there[0]} already; choose another folder, or remove it")
    try:
        for name, path in found.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, out / name)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}") from error
    return (
        f"{out}: {len(found)} files in {', '.join(FOLDERS)}; go on there:\n"
        "accelerate launch --config_file accelerate_configs/ddp.yaml scripts/pretrain.py"
    )


def shipped_files() -> dict[str, Path]:
    """Find the files, by their paths in a clone: beside the package in one, else where an installed wheel put them.

    Raises:
        UserError: There are none.
    """
    clone = Path(__file__).parents[2]
    if (clone / "pyproject.toml").is_file():
        paths = [path for folder in FOLDERS for path in sorted((clone / folder).iterdir()) if path.is_file()]
        return {str(path.relative_to(clone)): path for path in paths if path.name != "benchmark.py"}
    for installation in metadata.distributions(name="hf_strategies"):
        named = {file.as_posix().partition(f"{INSTALLED}/")[2]: file for file in installation.files or ()}
        files = {name: Path(str(file.locate())) for name, file in named.items() if name and file.suffix != ".pyc"}
        if files:
            return files
    raise UserError(f"this installation of hf_strategies has no {INSTALLED}: install it from a wheel, or take a clone")
