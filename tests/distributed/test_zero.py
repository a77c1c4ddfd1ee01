import torch
from torch import nn

from hf_strategies.distributed.zero import full_shape


def test_a_whole_parameter_has_its_own_shape():
    assert full_shape(nn.Parameter(torch.zeros(3, 4))) == (3, 4)


def test_a_partitioned_parameter_keeps_the_shape_that_deepspeed_noted():
    param = nn.Parameter(torch.zeros(3, 4))
    param.ds_shape = param.shape
    param.data = torch.empty(0)  # what ZeRO-3 leaves behind
    assert full_shape(param) == (3, 4)
