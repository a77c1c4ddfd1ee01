import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hf_strategies.__main__ import main
from hf_strategies.planning.shipped_files import FOLDERS, shipped_files

ROOT = Path(__file__).parents[2]


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_clones_files_are_written_as_they_are(tmp_path, capsys):
    out = tmp_path / "mine"
    assert main(["configs", str(out)]) == 0
    assert f"{out}: {len(written(out))} files" in capsys.readouterr().out
    assert written(out) == {name: (ROOT / name).read_bytes() for name in shipped_files()}
    assert {"scripts/pretrain.py", "accelerate_configs/zero2.yaml", "ds_configs/zero2.json"} <= written(out).keys()


def test_nothing_is_written_over(tmp_path, capsys):
    (tmp_path / "ds_configs").mkdir()
    (tmp_path / "ds_configs" / "zero2.json").write_text("mine")
    assert main(["configs", str(tmp_path)]) == 2
    assert "has ds_configs/zero2.json already" in capsys.readouterr().err
    assert written(tmp_path) == {"ds_configs/zero2.json": b"mine"}


@pytest.mark.skipif(not importlib.util.find_spec("setuptools"), reason="builds a wheel: pip install setuptools")
def test_an_installed_wheel_writes_the_same_files(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in (*FOLDERS, "hf_strategies"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    install = [*pip, "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed"]
    subprocess.run([*install, "--prefix", str(tmp_path / "usr"), str(wheel)], check=True, capture_output=True)
    (module,) = (tmp_path / "usr").rglob("hf_strategies/__main__.py")
    subprocess.run(
        [sys.executable, "-m", "hf_strategies", "configs", "out"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(module.parents[1])}, check=True, capture_output=True,
    )  # fmt: skip
    assert written(tmp_path / "out") == {name: (ROOT / name).read_bytes() for name in shipped_files()}
