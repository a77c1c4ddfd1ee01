import pytest
import torch

from hf_strategies.distributed.precision import automatic_precision


@pytest.mark.skipif(torch.accelerator.is_available(), reason="asks what a CPU can do")
def test_a_cpu_computes_in_bf16_only_where_it_has_instructions_for_it():
    capabilities = torch.cpu.get_capabilities()
    fast = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    chosen, reason = automatic_precision()
    assert chosen is fast
    assert "bf16" in reason


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_with_bf16_uses_it():
    assert automatic_precision()[0] is torch.cuda.is_bf16_supported(including_emulation=False)
