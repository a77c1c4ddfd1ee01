"""The Hyena operator: long convolutions and gates in turn, in the place of attention.

Paper: https://arxiv.org/abs/2302.10866, definition 3.1: z = v, then z = x_n * (h_n * z) for n = 1 to the order, where
v and x_n are projections of the input behind a short convolution, and h_n are long filters. The code that its authors
released has one convolution fewer at the same order: its first gate is applied to v itself.
"""

import torch
from torch import Tensor, nn

from hf_strategies.models.hyena.config import HyenaConfig
from hf_strategies.models.hyena.filters import HyenaFilter


def fft_convolution(signal: Tensor, taps: Tensor) -> Tensor:
    """Convolve causally along the last axis, in float32.

    Cost: three Fourier transforms of twice the length, O(length log length), where the sum itself is O(length^2).

    Args:
        signal: `[..., channels, length]`.
        taps: `[channels, length]`.
    """
    length = signal.shape[-1]
    padded = 2 * length  # what comes out at the end would come in again at the beginning
    spectrum = torch.fft.rfft(signal.float(), n=padded) * torch.fft.rfft(taps.float(), n=padded)
    return torch.fft.irfft(spectrum, n=padded)[..., :length]


class ResidualLinear(nn.Linear):
    """A map that ends a residual branch: its fresh weights are smaller the more branches there are."""


class HyenaOperator(nn.Module):
    """Mix the tokens of a row, each with those before it."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        width = (config.order + 1) * config.hidden_size
        self.in_proj = nn.Linear(config.hidden_size, width)
        self.short_conv = nn.Conv1d(
            width, width, config.short_kernel_size, groups=width, padding=config.short_kernel_size - 1
        )
        self.filter = HyenaFilter(config)
        self.out_proj = ResidualLinear(config.hidden_size, config.hidden_size)

    def forward(self, hidden_states: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what each token gathers, `[rows, tokens, hidden_size]`.

        Args:
            hidden_states: `[rows, tokens, hidden_size]`.
            mask: `[rows, 1, tokens]`, 0 at padding, which then is as if it were not there, on either side of a row.
        """
        length = hidden_states.shape[1]
        short = _masked(self.in_proj(hidden_states).transpose(1, 2), mask)
        short = _masked(self.short_conv(short)[..., :length], mask)
        *gates, value = short.split(hidden_states.shape[-1], dim=1)
        for gate, taps, skip in zip(gates, self.filter(length), self.filter.skip, strict=True):
            value = gate * (fft_convolution(value, taps) + skip[:, None] * value)
        return self.out_proj(value.to(short.dtype).transpose(1, 2))


def _masked(states: Tensor, mask: Tensor | None) -> Tensor:
    return states if mask is None else states * mask.to(states.dtype)
