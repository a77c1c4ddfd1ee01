import subprocess
import sys

import pytest
import torch

from hf_strategies.distributed.datasheets import PEAK_TFLOPS, datasheet_flops_per_second, find_device
from hf_strategies.distributed.devices import peak_rate


@pytest.mark.parametrize(
    ("device_name", "precision", "tflops"),
    [
        ("NVIDIA A100-SXM4-80GB", "bfloat16", 312.0),
        ("NVIDIA A100-PCIE-40GB", "tf32", 156.0),
        ("NVIDIA A100 80GB PCIe", "bfloat16", 312.0),
        ("NVIDIA H100 80GB HBM3", "bfloat16", 989.4),
        ("NVIDIA H100 PCIe", "bfloat16", 756.0),
        ("NVIDIA H200", "float32", 67.0),
        ("NVIDIA L40S", "float16", 362.0),
        ("Tesla V100-SXM2-16GB", "float16", 125.0),
        ("NVIDIA GeForce RTX 4090", "bfloat16", 165.2),
    ],
)
def test_a_known_device_has_the_peak_of_its_data_sheet(device_name, precision, tflops):
    assert datasheet_flops_per_second(device_name, precision) == pytest.approx(tflops * 1e12)


@pytest.mark.parametrize(
    ("device_name", "precision"),
    [
        ("NVIDIA A10G", "bfloat16"),  # not an A10
        ("NVIDIA L40", "bfloat16"),  # not an L40S, nor an L4
        ("NVIDIA H200 MIG 1g.18gb", "bfloat16"),  # a slice of one
        ("NVIDIA A10-24Q", "bfloat16"),  # another
        ("NVIDIA H200 NVL", "bfloat16"),
        ("NVIDIA GeForce RTX 3090 Ti", "bfloat16"),
        ("NVIDIA GeForce RTX 4090 D", "bfloat16"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bfloat16"),
        ("Tesla V100-SXM2-16GB", "bfloat16"),  # a precision it does not have
        ("NVIDIA GeForce GTX 1080", "float32"),
    ],
)
def test_a_near_namesake_is_not_taken_for_a_known_device(device_name, precision):
    assert datasheet_flops_per_second(device_name, precision) is None


@pytest.mark.parametrize(
    ("setting", "allowed"),
    [
        ("pass", False),
        ("torch.backends.fp32_precision = 'tf32'", True),  # as the host's --tf32 true does since torch 2.9
        ("torch.backends.cuda.matmul.allow_tf32 = True", True),
        ("torch.set_float32_matmul_precision('high')", True),
    ],
)
def test_tf32_is_seen_however_it_was_allowed(setting, allowed):
    asked = f"import torch; {setting}\nfrom hf_strategies.distributed.devices import allows_tf32; print(allows_tf32())"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(allowed)


def test_reduced_precision_is_never_slower_in_the_table():
    for name, peaks in PEAK_TFLOPS.items():
        assert peaks["float32"] <= peaks.get("tf32", peaks["float16"]) <= peaks["float16"], name


def test_a_cpu_is_measured_within_half_a_second_and_draws_no_random_number():
    before = torch.get_rng_state()
    peak = peak_rate(torch.device("cpu"), torch.float32)
    assert peak.measured
    assert 1e8 < peak.flops_per_second < 1e14  # one slow core, a hundred fast ones
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("text", "device"),
    [("H100", "H100 80GB HBM3"), ("h100 pcie", "H100 PCIe"), ("4090", "RTX 4090"), ("T4", "Tesla T4"), ("L4", "L4")],
)
def test_a_gpu_is_found_by_what_people_call_it(text, device):
    assert find_device(text) == device
