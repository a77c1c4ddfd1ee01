"""What a run ran on, without a word about whose machine it is."""

import importlib.metadata
import os
import platform
import re
from pathlib import Path

from hf_strategies.distributed.ranks import available_cores
from hf_strategies.version import __version__

PACKAGES = (
    "torch", "transformers", "accelerate", "datasets", "tokenizers", "peft", "deepspeed",
    "bitsandbytes", "numpy",
)  # fmt: skip


def describe_environment() -> dict[str, str]:
    """Return the machine and the versions that decide how fast a run is and what it computes.

    There is no host name, no user name and no path in it: it is made to be published.
    """
    import torch

    machine = {
        "Python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "CPU": cpu_model(),
        "CPU cores": str(available_cores()),
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        machine["memory"] = f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB"
    machine["accelerator"] = _accelerators(torch)
    return {**machine, "hf_strategies": __version__, **_versions()}


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name; where the system does not tell (ARM, macOS), its architecture."""
    text = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.is_file() else ""
    found = re.search(r"^model name\s*:\s*(\S.*?)\s*$", text, re.MULTILINE)
    return found.group(1) if found else platform.processor() or platform.machine()


def _accelerators(torch) -> str:
    if torch.cuda.is_available():
        devices = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        names = [f"{device.name} ({device.total_memory / 2**30:.0f} GiB)" for device in devices]
        return ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
    return "Apple GPU (MPS)" if torch.backends.mps.is_available() else "none"


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
