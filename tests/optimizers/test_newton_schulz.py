import math

import torch

from hf_strategies.optimizers.newton_schulz import orthogonalize, product_dtype


def test_singular_values_end_near_one_from_three_thousandths_of_the_norm_on():
    generator = torch.Generator().manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(32, 32, dtype=torch.float64, generator=generator))
    right, _ = torch.linalg.qr(torch.randn(64, 32, dtype=torch.float64, generator=generator))
    values = torch.logspace(math.log10(0.004), 0, 32, dtype=torch.float64)
    matrix = left @ torch.diag(values) @ right.T
    after = torch.linalg.svdvals(orthogonalize(matrix[None])[0])
    assert values.min() / values.norm() < 0.003  # the smallest lies at the edge that is stated
    assert after[:-1].min() > 0.68
    assert after.max() < 1.2


def test_products_keep_the_digits_of_float64():
    assert product_dtype(torch.zeros(1, dtype=torch.float64)) is torch.float64
    assert product_dtype(torch.zeros(1, dtype=torch.bfloat16, device="meta")) is torch.float32
