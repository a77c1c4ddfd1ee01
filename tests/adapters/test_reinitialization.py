import pytest
import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from hf_strategies.adapters.factory import create_adapter
from hf_strategies.adapters.reinitialization import reinitialize_top_blocks
from hf_strategies.errors import UserError


@pytest.fixture
def loaded(tiny_model, tmp_path):
    """A model whose every weight is 3, as it comes from a checkpoint: loading marks weights as not to be drawn."""

    def load(architecture: str):
        model = tiny_model(architecture)
        for param in model.parameters():
            torch.nn.init.constant_(param, 3.0)
        model.save_pretrained(tmp_path)
        return type(model).from_pretrained(tmp_path)

    return load


@pytest.mark.parametrize(
    ("architecture", "num_blocks", "drawn"),
    [
        ("bert", 1, ["bert.encoder.layer.1", "bert.pooler"]),
        ("bert", 2, ["bert.encoder.layer.0", "bert.encoder.layer.1", "bert.pooler"]),
        ("llama", 1, ["model.layers.1", "model.norm"]),
        ("gpt2", 1, ["transformer.h.1", "transformer.ln_f"]),
        ("vit", 1, ["vit.layers.1", "vit.layernorm"]),
        ("t5", 1, ["decoder.block.1", "decoder.final_layer_norm"]),
        ("mamba", 1, ["backbone.layers.1", "backbone.norm_f"]),
    ],
)
def test_the_top_is_drawn_anew_and_the_rest_stays(architecture, num_blocks, drawn, loaded):
    model = loaded(architecture)
    assert reinitialize_top_blocks(model, num_blocks) == drawn
    for name, param in model.named_parameters():
        is_drawn = any(name.startswith(f"{part}.") for part in drawn)
        assert bool((param == 3.0).all()) is not is_drawn, name


def test_weights_are_drawn_as_the_model_draws_them(loaded):
    torch.manual_seed(0)
    model = loaded("gpt2")
    reinitialize_top_blocks(model, 1)
    block = model.transformer.h[1]
    assert block.mlp.c_fc.weight.std().item() == pytest.approx(0.02, rel=0.1)
    # GPT-2 draws what writes to the residual stream smaller, by the root of twice its blocks.
    assert block.mlp.c_proj.weight.std().item() == pytest.approx(0.02 / 4**0.5, rel=0.1)
    assert torch.equal(block.ln_1.weight, torch.ones(16))
    assert torch.equal(block.mlp.c_fc.bias, torch.zeros(32 * 2))


class WithoutABody(PreTrainedModel):
    """A language model whose parts stand in it directly, as models of one's own do."""

    config_class = PreTrainedConfig

    def __init__(self, config) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(8, 4)
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 8)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        return self.head


def test_what_predicts_tokens_stays():
    model = WithoutABody(PreTrainedConfig())
    head = model.head.weight.clone()
    assert reinitialize_top_blocks(model, 1) == ["layers.1", "norm"]
    assert torch.equal(model.head.weight, head)


@pytest.mark.parametrize("num_blocks", [0, 3, -1])
def test_only_blocks_that_are_there_can_be_drawn(num_blocks, tiny_model):
    with pytest.raises(UserError, match=rf"a whole number in \[1, 2\], the blocks of Bert.*, got {num_blocks}"):
        reinitialize_top_blocks(tiny_model("bert"), num_blocks)


def test_it_comes_before_an_adapter(tiny_model):
    model = create_adapter("lora", tiny_model("bert"), task_type="SEQ_CLS")
    with pytest.raises(UserError, match=r"needs a bare model, got PeftModel.*: do it before adding an adapter"):
        reinitialize_top_blocks(model, 1)
