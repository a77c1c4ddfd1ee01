import torch

from hf_strategies.planning.live_tensors import LiveTensors

MEGABYTE = 250_000  # float32 elements


def test_memory_is_counted_while_something_holds_it():
    with LiveTensors() as live:
        first = torch.zeros(MEGABYTE)
        second = first + 1
        assert live.bytes == 2_000_000
        del first
        assert live.bytes == 1_000_000
        second.mul_(2)  # in place: nothing new
        second[:10].view(5, 2)  # views share their memory
        assert (live.bytes, live.peak) == (1_000_000, 2_000_000)
        live.restart()
        assert live.peak == 1_000_000


def test_what_autograd_keeps_counts_until_the_backward_pass_has_used_it():
    with LiveTensors() as live:
        weight = torch.zeros(MEGABYTE, requires_grad=True)
        loss = weight.exp().sum()  # exp keeps its result
        assert live.bytes == 2_000_000 + 4
        loss.backward()
        del loss
        assert live.bytes == 2_000_000  # the weight and its gradient
