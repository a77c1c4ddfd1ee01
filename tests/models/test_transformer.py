import math

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from hf_strategies.errors import UserError
from hf_strategies.models.factory import create_config, create_model
from hf_strategies.models.flops import multiplied_parameters, training_flops_per_token
from hf_strategies.models.sizes import resolve_sizes
from hf_strategies.models.transformer.model import sinusoids
from hf_strategies.module_tree.layer_depth import layer_depths
from hf_strategies.optimizers.matrices import matrix_layouts

VARIANTS = [(norm, positions) for norm in ("post", "pre") for positions in ("sinusoidal", "learned")]


def build(norm_position: str = "post", positions: str = "sinusoidal", **options):
    torch.manual_seed(0)
    sizes, _ = resolve_sizes("transformer", {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2})
    config = create_config(
        "transformer", vocab_size=64, max_seq_length=16, sizes=sizes,
        options={"norm_position": norm_position, "positions": positions, **options},
    )  # fmt: skip
    return create_model(config).eval()


def test_sinusoids_are_those_of_the_paper():
    # PE(pos, 2i) = sin(pos / 10000^(2i / d)), PE(pos, 2i + 1) = cos of the same; d = 4: frequencies 1 and 0.01.
    expected = [[0, 1, 0, 1], [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]]
    torch.testing.assert_close(sinusoids(torch.arange(2), 4), torch.tensor(expected))
    assert sinusoids(torch.tensor([[7]]), 5).shape == (1, 1, 5)


def by_hand(model: nn.Module, ids: torch.Tensor, norm_position: str) -> torch.Tensor:
    """The decoder written out: section 3.1's LayerNorm(x + Sublayer(x)), or x + Sublayer(LayerNorm(x))."""
    decoder, (rows, tokens) = model.model.decoder, ids.shape
    learned = model.config.positions == "learned"
    places = decoder.embed_positions.weight[:tokens] if learned else sinusoids(torch.arange(tokens), 32)
    x = decoder.embed_tokens(ids) * math.sqrt(32) + places
    future = torch.full((tokens, tokens), -math.inf).triu(1)
    for layer in decoder.layers:
        attention = layer.self_attn

        def attend(y, attention=attention):
            q, k, v = (
                project(y).view(rows, tokens, 2, 16).transpose(1, 2)
                for project in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            weights = (q @ k.transpose(2, 3) / 4 + future).softmax(dim=-1)
            return attention.out_proj((weights @ v).transpose(1, 2).reshape(rows, tokens, 32))

        def feed_forward(y, layer=layer):
            return layer.fc2(torch.relu(layer.fc1(y)))

        for sublayer, norm in ((attend, layer.self_attn_layer_norm), (feed_forward, layer.final_layer_norm)):
            x = norm(x + sublayer(x)) if norm_position == "post" else x + sublayer(norm(x))
    return model.lm_head(x if norm_position == "post" else decoder.final_layer_norm(x))


@pytest.mark.parametrize(("norm_position", "positions"), VARIANTS)
def test_it_computes_what_the_paper_says(norm_position, positions):
    model, ids = build(norm_position, positions), torch.arange(1, 13).view(2, 6)
    with torch.no_grad():
        for norm in (module for module in model.modules() if isinstance(module, nn.LayerNorm)):
            norm.weight.uniform_(0.5, 1.5)  # one norm for another would not be seen otherwise
        torch.testing.assert_close(model(ids).logits, by_hand(model, ids, norm_position), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("norm_position", "positions"), VARIANTS)
def test_it_generates_with_its_cache_what_it_says_without(norm_position, positions, tmp_path):
    build(norm_position, positions).save_pretrained(tmp_path)
    model, ids = AutoModelForCausalLM.from_pretrained(tmp_path), torch.arange(1, 6)[None]
    cached, fresh = (
        model.generate(ids, max_new_tokens=8, do_sample=False, use_cache=cache, pad_token_id=0)
        for cache in (True, False)
    )
    assert torch.equal(cached, fresh)
    assert cached.shape == (1, 13)
    padded = torch.cat([torch.zeros(1, 3, dtype=torch.long), ids], dim=1)
    mask = (padded > 0).long()
    with torch.no_grad():
        begun = model(padded[:, :5], attention_mask=mask[:, :5], use_cache=True).past_key_values
        rest = model(padded[:, 5:], attention_mask=mask, past_key_values=begun)
        for shown in (model(padded, attention_mask=mask), rest):
            torch.testing.assert_close(shown.logits[:, -1], model(ids).logits[:, -1], rtol=1e-4, atol=1e-4)


def test_fresh_words_are_as_large_as_their_places():
    # Both of variance about one: the paper scales embeddings by sqrt(d), and sines have a mean square of a half.
    words = build().get_input_embeddings().weight * math.sqrt(32)
    assert words.std().item() == pytest.approx(1, abs=0.1)
    assert sinusoids(torch.arange(16), 32).pow(2).mean().item() == pytest.approx(0.5)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_operations_depths_and_matrices_are_those_of_its_layers(positions):
    model = build(positions=positions)
    # A layer: four maps of 32 x 32 and two of 32 x 128, their biases, two norms; behind them the table, as the head.
    layer = 4 * (32 * 32 + 32) + 2 * 32 * 128 + 128 + 32 + 2 * 2 * 32
    assert multiplied_parameters(model) == 2 * layer + 64 * 32
    assert training_flops_per_token(model.config, 0, 16) == 12 * 2 * 32 * 16
    names = {name for name, param in model.named_parameters() if param in matrix_layouts(model)}
    assert len(names) == 2 * 6
    assert not {name for name in names if "embed" in name}
    depths, top = layer_depths(model, needed_by="a test", instead="")
    assert (top, depths[model.get_input_embeddings().weight]) == (3, 0)
    assert {depths[param] for param in model.model.decoder.layers[1].parameters()} == {2}


def test_what_was_asked_for_is_there():
    assert build(activation="gelu").model.decoder.layers[0].activation_fn(torch.tensor(-1.0)).item() < 0
    assert build(dropout=0.25).config.dropout == 0.25
    with pytest.raises(UserError, match=r"norm_position of architecture 'transformer' must be one of post, pre"):
        build(norm_position="both")
