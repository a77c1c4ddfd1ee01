import torch
from torch import nn

from hf_strategies.module_tree.buffers import saved_buffers


def test_a_checkpoint_holds_statistics_but_not_what_is_computed_anew():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    model.register_buffer("scale", torch.ones(1))
    model[1].register_buffer("positions", torch.arange(2), persistent=False)
    found = {name: module._buffers[name_there] for name, module, name_there in saved_buffers(model)}
    assert found.keys() == model.state_dict().keys() - {name for name, _ in model.named_parameters()}
    assert all(found[name] is buffer for name, buffer in model.named_buffers() if name in found)
    assert "1.positions" not in found
