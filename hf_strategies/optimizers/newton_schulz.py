"""The orthogonal matrix nearest to a given one, by matrix products alone.

Method: https://kellerjordan.github.io/posts/muon/.
"""

import torch
from torch import Tensor

# A quintic as steep at 0 as it can be: five rounds take singular values in [0.003, 1] into [0.68, 1.2].
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ROUNDS = 5
EPS = 1e-7  # smallest norm that is divided by


def orthogonalize(matrices: Tensor) -> Tensor:
    """Move the singular values of each matrix towards 1 and leave its singular vectors (Newton-Schulz iteration).

    Singular values below 0.003 of the matrix' Frobenius norm do not get all the way. Cost per matrix of
    `rows x columns`: 20 rows^2 columns + 10 rows^3 FLOPs.

    Args:
        matrices: No taller than wide. `[batch, rows, columns]`; the products run in its dtype.
    """
    a, b, c = COEFFICIENTS
    x = matrices / torch.linalg.matrix_norm(matrices, keepdim=True).clamp_min(EPS)
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def product_dtype(matrix: Tensor) -> torch.dtype:
    """Dtype of the matrix products for `matrix`: bf16 where its device multiplies that faster than fp32.

    float64 stays: who asks for that many digits wants them.
    """
    if matrix.dtype is torch.float64:
        return torch.float64
    return torch.bfloat16 if _multiplies_bf16(matrix.device.type) else torch.float32


def _multiplies_bf16(device_type: str) -> bool:
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False
