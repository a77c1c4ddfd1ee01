"""The extras stay optional: without their packages everything is imported but what only they can run."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "bitsandbytes", "deepspeed", "kernels", "kornia", "liger_kernel", "nltk", "optuna", "pytorch_optimizer",
    "rouge_score", "sacrebleu", "schedulefree", "tensorboard", "torchao", "trackio", "trl", "wandb",
)  # fmt: skip
NEEDED = {"hf_strategies.distributed.pipeline.stages": "deepspeed"}

IMPORT_ALL = f"""
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys({PACKAGES!r}))  # None is what Python finds where nothing is installed
import hf_strategies
for module in pkgutil.walk_packages(hf_strategies.__path__, "hf_strategies."):
    if module.name != "hf_strategies.__main__":
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            print(module.name, str(error).replace("\\n", " "))
"""


def test_modules_are_imported_where_no_extra_is_installed():
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], check=True, cwd=ROOT, capture_output=True, text=True)
    failed = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith("hf_strategies."))
    assert failed.keys() == NEEDED.keys(), failed
    assert all(package in failed[module] for module, package in NEEDED.items())
