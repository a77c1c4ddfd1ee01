import math

import pytest
import torch

from hf_strategies.optimizers.newton_schulz import QUINTIC, orthogonalize, orthogonalize_stacks, product_dtype


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def with_singular_values(values: torch.Tensor, columns: int) -> torch.Tensor:
    left, _ = torch.linalg.qr(random(len(values), len(values)))
    right, _ = torch.linalg.qr(random(columns, len(values), seed=1))
    return left @ torch.diag(values) @ right.T


def by_singular_values(matrix: torch.Tensor) -> torch.Tensor:
    """Apply the quintic to the singular values five times, which is what the products do without finding them."""
    left, values, right = torch.linalg.svd(matrix / matrix.norm(), full_matrices=False)
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return left @ torch.diag(values) @ right


def test_singular_values_end_near_one_from_three_thousandths_of_the_norm_on():
    values = torch.logspace(math.log10(0.004), 0, 32, dtype=torch.float64)
    after = torch.linalg.svdvals(orthogonalize(with_singular_values(values, 64)[None])[0])
    assert values.min() / values.norm() < 0.003  # the smallest lies at the edge that is stated
    assert after[:-1].min() > 0.68
    assert after.max() < 1.2


@pytest.mark.parametrize("shape", [(6, 6), (6, 8), (6, 10), (6, 40)])
def test_the_products_do_to_singular_values_what_the_quintic_says(shape):
    matrices = [random(*shape, seed=seed) for seed in range(3)]
    for result, matrix in zip(orthogonalize(torch.stack(matrices)), matrices):
        torch.testing.assert_close(result, by_singular_values(matrix))


def test_stacks_of_any_shape_come_back_as_they_would_alone():
    shapes = [(1, 4, 6), (3, 6, 4), (2, 5, 5), (2, 4, 6), (2, 400, 500)]  # the last: more than a batch on a CPU
    stacks = [random(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    for stack, result in zip(stacks, orthogonalize_stacks(stacks)):
        expected = [by_singular_values(matrix) for matrix in stack]
        torch.testing.assert_close(result, torch.stack(expected))


def test_in_bf16_a_wide_matrix_loses_no_more_than_by_the_plain_iteration():
    matrix = with_singular_values(torch.logspace(-4, 0, 64, dtype=torch.float64), 256)
    exact = by_singular_values(matrix)
    plain = (matrix / matrix.norm()).bfloat16()
    for _ in range(5):
        a, b, c = QUINTIC
        gram = plain @ plain.T
        plain = a * plain + (b * gram + c * gram @ gram) @ plain
    ours = orthogonalize(matrix[None].bfloat16())[0]
    errors = [float((result.double() - exact).norm() / exact.norm()) for result in (ours, plain)]
    assert errors[0] < 1.1 * errors[1]  # with all rounds on one Gram matrix it is 5 times as much and more


def test_products_keep_the_digits_of_float64():
    assert product_dtype(torch.zeros(1, dtype=torch.float64)) is torch.float64
    assert product_dtype(torch.zeros(1, dtype=torch.bfloat16, device="meta")) is torch.float32
