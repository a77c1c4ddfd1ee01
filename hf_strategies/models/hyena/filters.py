"""Filters as long as the longest row, as functions of a position: a small network times a window.

Paper: https://arxiv.org/abs/2302.10866, section 3.3: h(t) = window(t) * network(encoding(t)). The encoding is the
position with complex exponentials of it, the network's activations are sines, and the window decays exponentially, at
a rate of its own for each channel.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from hf_strategies.models.hyena.config import HyenaConfig

LEFT_OF_A_WINDOW = 0.01  # where a window is said to end


class HyenaFilter(nn.Module):
    """The filters of one operator, and what each lets through beside itself.

    Everything is computed in float32, under autocast and in half-precision weights too: a million positions are not
    told apart in fewer bits.
    """

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.filter_features] + [config.filter_size] * (config.filter_depth - 1)
        self.hidden = nn.ModuleList(_Float32Linear(*pair) for pair in pairwise(widths))
        self.frequency = nn.Parameter(torch.empty(config.filter_size))  # one for all layers, and learned
        self.output = _Float32Linear(config.filter_size, config.order * config.hidden_size, bias=False)
        self.skip = nn.Parameter(torch.empty(config.order, config.hidden_size))

    def forward(self, length: int) -> Tensor:
        """Return the first `length` taps of every filter, `[order, channels, length]`.

        Cost: `length * filter_size**2` for each layer of the network, whatever the rows of a batch.
        """
        config, device = self.config, self.skip.device
        share = torch.arange(length, dtype=torch.float32, device=device) / config.max_position_embeddings
        with torch.autocast(device.type, enabled=False):
            states = encode_positions(share, config.filter_features)
            for layer in self.hidden:
                states = torch.sin(self.frequency.float() * layer(states))
            taps = self.output(states).T.unflatten(0, (config.order, config.hidden_size))
            return taps * windows(config, share)

    def initial_values(self) -> dict[nn.Parameter, Tensor]:
        """Draw fresh weights.

        Filters begin with an energy of one, at whatever length: a convolution with them is as large as what it reads.
        """
        config, decay = self.config, decay_rates(self.config, self.skip.device)
        length, floor = config.max_position_embeddings, config.window_floor
        falls, squares = (torch.expm1(-rate) / torch.expm1(-rate / length) for rate in (decay, 2 * decay))
        of_windows = squares + 2 * floor * falls + length * floor**2  # sums over all positions
        of_sines = config.filter_size / 2
        scale = (of_windows * of_sines).rsqrt().repeat(config.order)
        values = {
            self.frequency: torch.full_like(self.frequency, config.filter_frequency),
            self.output.weight: torch.randn_like(self.output.weight) * scale[:, None].to(self.output.weight.dtype),
            self.skip: torch.randn_like(self.skip),
        }
        for layer in self.hidden:
            bound = layer.in_features**-0.5
            for param in (layer.weight, layer.bias):
                values[param] = torch.empty_like(param).uniform_(-bound, bound)
        return values


def encode_positions(share: Tensor, num_features: int) -> Tensor:
    """Describe positions, given as shares `[positions]` of the filters' length: `[positions, num_features]`."""
    waves = torch.arange((num_features - 1) // 2, device=share.device)
    angles = 2 * math.pi * share[:, None] * waves
    return torch.cat([share[:, None], angles.cos(), -angles.sin()], dim=-1)


def windows(config: HyenaConfig, share: Tensor) -> Tensor:
    """Return every channel's window at positions `[positions]`: `[channels, positions]`."""
    return torch.exp(-decay_rates(config, share.device)[:, None] * share) + config.window_floor


def decay_rates(config: HyenaConfig, device: torch.device) -> Tensor:
    """Return how fast each channel's window falls, per length of the filters, slowest first."""
    slowest, fastest = (-math.log(LEFT_OF_A_WINDOW) / share for share in (config.slow_decay, config.fast_decay))
    return torch.linspace(slowest, fastest, config.hidden_size, device=device)


class _Float32Linear(nn.Linear):
    def forward(self, states: Tensor) -> Tensor:
        return functional.linear(states, self.weight.float(), None if self.bias is None else self.bias.float())
