"""The orthogonal matrix nearest to a given one, by matrix products alone.

Method: https://kellerjordan.github.io/posts/muon/.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

# A round turns each singular value x into a x + b x^3 + c x^5. The coefficients are as steep at 0 as they can be: five
# rounds take singular values in [0.003, 1] into [0.68, 1.2].
QUINTIC = (3.4445, -4.7750, 2.0315)
NUM_ROUNDS = 5
EPS = 1e-7  # smallest norm that is divided by

# Matrices of one shape are orthogonalised together, up to so many elements: on a CPU what stays in its cache (1.3x the
# speed of all at once), elsewhere enough to fill a device, for about 200 MB of scratch memory in bf16.
MAX_BATCH_ELEMENTS = {"cpu": 2**18}
MAX_BATCH_ELEMENTS_ELSEWHERE = 2**24

# From this ratio of columns to rows on, working on the small Gram matrix takes fewer FLOPs. Rounding errors grow with
# each round on it; taken anew after the third, the bf16 result is about as good as that of the plain iteration.
GRAM_RATIO = 1.5
ROUNDS_PER_GRAM = 3


def orthogonalize(matrices: Tensor) -> Tensor:
    """Move the singular values of each matrix towards 1 and leave its singular vectors.

    Values below 0.003 of the matrix' Frobenius norm do not get all the way. Cost per matrix of
    `rows x columns`: 20 rows^2 columns + 10 rows^3 FLOPs, and 8 rows^2 columns + 28 rows^3 from `GRAM_RATIO` on.

    Args:
        matrices: No taller than wide. `[batch, rows, columns]`; the products run in its dtype.
    """
    x = matrices / torch.linalg.matrix_norm(matrices, keepdim=True).clamp_min(EPS)
    x = x.squeeze(0)  # for one matrix a CPU has faster products than for a batch of one
    rounds = ROUNDS_PER_GRAM if x.shape[-1] > GRAM_RATIO * x.shape[-2] else 1
    for done in range(0, NUM_ROUNDS, rounds):
        x = _rounds_on_one_gram(x, min(rounds, NUM_ROUNDS - done))
    return x.view_as(matrices)


def orthogonalize_stacks(stacks: Sequence[Tensor]) -> list[Tensor]:
    """Orthogonalise matrices of any shapes, those alike up to transposition together, in the dtype that is fastest.

    Args:
        stacks: Of one dtype and device. Each `[stack, rows, columns]`.

    Returns:
        Tensors of the same shapes and dtype.
    """
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, stack in enumerate(stacks):
        alike[tuple(sorted(stack.shape[1:]))].append(place)
    results = list(stacks)
    for places in alike.values():
        wide = _joined([_turned(stacks[place]).to(product_dtype(stacks[0])) for place in places])
        size = max(1, max_batch_elements(wide) // wide[0].numel())
        done = _joined([orthogonalize(chunk) for chunk in wide.split(size)]).to(stacks[0].dtype)
        for place, update in zip(places, done.split([len(stacks[place]) for place in places])):
            results[place] = update if stacks[place].shape == update.shape else update.mT
    return results


def max_batch_elements(tensor: Tensor) -> int:
    """Elements of a batch that is best on the tensor's device."""
    return MAX_BATCH_ELEMENTS.get(tensor.device.type, MAX_BATCH_ELEMENTS_ELSEWHERE)


def _joined(stacks: Sequence[Tensor]) -> Tensor:
    return torch.cat(stacks) if len(stacks) > 1 else stacks[0]  # a copy for nothing


def _turned(stack: Tensor) -> Tensor:
    return stack.mT if stack.shape[1] > stack.shape[2] else stack


def _rounds_on_one_gram(x: Tensor, num_rounds: int) -> Tensor:
    """Multiply `x` by the rounds' factors a + b G + c G^2; they are polynomials of one G, so that they commute."""
    gram = x @ x.mT
    factor = product = _factor(gram)
    for _ in range(num_rounds - 1):
        gram = factor @ (gram @ factor)  # that of x times the last factor
        factor = _factor(gram)
        product = factor @ product
    return product @ x


def _factor(gram: Tensor) -> Tensor:
    a, b, c = QUINTIC
    multiply_add = torch.addmm if gram.ndim == 2 else torch.baddbmm  # on a CPU, addmm is faster for one matrix
    factor = multiply_add(gram, gram, gram, beta=b, alpha=c)
    factor.diagonal(dim1=-2, dim2=-1).add_(a)
    return factor


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
