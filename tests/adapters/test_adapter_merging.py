import pytest
import torch

from hf_strategies.adapters.factory import create_adapter
from hf_strategies.adapters.merging import merge_adapter


@pytest.mark.parametrize("name", ["lora", "ia3", "adalora"])
@pytest.mark.parametrize("architecture", ["roberta", "distilbert"])
def test_heads_of_several_layers_are_taken_as_they_were_trained(name, architecture, tiny_model, tiny_batch):
    model = create_adapter(name, tiny_model(architecture), task_type="SEQ_CLS")
    generator = torch.Generator().manual_seed(2)
    for param in model.parameters():
        if param.requires_grad:
            param.data += 0.05 * torch.randn(param.shape, generator=generator)
    batch = tiny_batch(architecture)
    with torch.no_grad():
        base, expected = tiny_model(architecture)(**batch).logits, model(**batch).logits
        merged = merge_adapter(model)
        torch.testing.assert_close(merged(**batch).logits, expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(base, expected, atol=1e-3)
    assert merged.state_dict().keys() == tiny_model(architecture).state_dict().keys()
