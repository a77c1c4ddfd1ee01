"""What optimizers keep for a parameter, in bytes, without torch: a plan asks before anything is built.

Each function takes a parameter's `shape`, the `itemsize` of its dtype in bytes, and whether an optimizer with a matrix
half has it there. Single numbers, such as counts of steps, are left out. The docstring of each is what a user reads.
"""

# ruff: noqa: ARG001 - they share one signature

import math
from collections.abc import Sequence

QUANTIZED_BLOCK = 256  # elements that share one scale
MIN_QUANTIZED_SIZE = 4096  # elements; below it bitsandbytes keeps float32
SOAP_MAX_DIM = 10_000  # a longer side of a tensor gets no preconditioner


def one_buffer(shape: Sequence[int], itemsize: int, matrix: bool) -> int:
    """one buffer of the parameter's size and dtype"""
    return math.prod(shape) * itemsize


def two_buffers(shape: Sequence[int], itemsize: int, matrix: bool) -> int:
    """two buffers of the parameter's size and dtype"""
    return 2 * math.prod(shape) * itemsize


def three_buffers(shape: Sequence[int], itemsize: int, matrix: bool) -> int:
    """three buffers of the parameter's size and dtype"""
    return 3 * math.prod(shape) * itemsize


def one_buffer_for_matrices(shape: Sequence[int], itemsize: int, matrix: bool) -> int:
    """one buffer of the parameter's size and dtype in the matrix half, two elsewhere"""
    return (1 if matrix else 2) * math.prod(shape) * itemsize


def row_and_column(shape: Sequence[int], itemsize: int, matrix: bool) -> int:
    """a row and a column for each matrix, one buffer for a vector"""
    if len(shape) < 2:
        return math.prod(shape) * itemsize
    *stack, rows, columns = shape
    return math.prod(stack) * (rows + columns) * itemsize


def preconditioned_buffers(shape: Sequence[int], itemsize: int, matrix: bool) -> int:
    """two buffers of the parameter's size and dtype, and two square matrices for each side up to 10,000"""
    sides = [side for side in shape if side <= SOAP_MAX_DIM] if len(shape) >= 2 else []
    return 2 * (math.prod(shape) + sum(side * side for side in sides)) * itemsize


def two_float32_buffers(shape: Sequence[int], itemsize: int, matrix: bool) -> int:
    """two buffers of the parameter's size in float32"""
    return 2 * math.prod(shape) * 4


def two_quantized_buffers(shape: Sequence[int], itemsize: int, matrix: bool) -> int:
    """two buffers of the parameter's size in 8 bits with a scale per 256 elements; float32 below 4,096 elements"""
    size = math.prod(shape)
    if size < MIN_QUANTIZED_SIZE:
        return two_float32_buffers(shape, itemsize, matrix)
    return 2 * (size + 4 * math.ceil(size / QUANTIZED_BLOCK))
