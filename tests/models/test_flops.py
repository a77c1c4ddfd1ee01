import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
    PaliGemmaConfig,
    PreTrainedConfig,
    RwkvConfig,
    T5Config,
)

from hf_strategies.models.flops import multiplied_parameters, training_flops_per_token
from hf_strategies.models.hyena import HyenaConfig

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 128}


def llama(**changes) -> LlamaConfig:
    return LlamaConfig(**{**SIZES, "intermediate_size": 64, "num_key_value_heads": 2, **changes})


def test_palms_own_formula_by_hand():
    config = PreTrainedConfig(hidden_size=18432, num_hidden_layers=118, num_attention_heads=48, head_dim=256)
    # PaLM 540B, table 1: 6 * 540.35e9 + 12 * 118 * 48 * 256 * 2048
    assert training_flops_per_token(config, 540_350_000_000, 2048) == pytest.approx(3.2421e12 + 3.5635e10, rel=1e-4)


@pytest.mark.parametrize("tied", [True, False])
def test_only_tables_that_are_looked_up_do_not_count(tied):
    model = AutoModelForCausalLM.from_config(llama(tie_word_embeddings=tied))
    layer = 32 * (32 + 16 + 16 + 32) + 3 * 32 * 64 + 2 * 32  # q, k, v, o; gate, up, down; two norms
    assert multiplied_parameters(model) == 3 * layer + 32 + 128 * 32  # final norm, head


def test_learned_positions_are_looked_up_too():
    model = AutoModelForCausalLM.from_config(
        GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=128, n_positions=64)
    )
    assert multiplied_parameters(model) == sum(p.numel() for p in model.parameters()) - 64 * 32


def test_agrees_with_torchs_count_of_matrix_products():
    model = AutoModelForCausalLM.from_config(llama(attn_implementation="eager"))
    ids = torch.zeros(2, 16, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=ids).loss.backward()
    counted = training_flops_per_token(model.config, multiplied_parameters(model), 16) * ids.numel()
    # Norm weights are in the formula and are no matrix product; the first layer's inputs need no gradient.
    assert counter.get_total_flops() == pytest.approx(counted, rel=0.02)


def test_a_model_without_attention_has_no_attention_term():
    config = RwkvConfig(hidden_size=32, num_hidden_layers=2)
    assert training_flops_per_token(config, 1000, 4096) == 6000.0


def test_a_state_space_reads_and_writes_its_state_as_attention_does_so_many_tokens():
    config = MambaConfig(hidden_size=32, num_hidden_layers=2, expand=2, state_size=16)
    assert training_flops_per_token(config, 1000, 4096) == 6000 + 12 * 2 * 64 * 16


def test_hyenas_filters_are_no_work_of_a_token_and_its_fourier_transforms_are():
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "vocab_size": 128}
    model = AutoModelForCausalLM.from_config(HyenaConfig(**sizes, order=3))
    projections, short, skip, out = 32 * 128 + 128, 128 * 3 + 128, 3 * 32, 32 * 32 + 32
    feed_forward = 32 * 64 + 64 + 64 * 32 + 32
    counted = projections + short + skip + out + feed_forward + 3 * 2 * 32 + 128 * 32  # norms; head
    assert multiplied_parameters(model) == counted
    assert training_flops_per_token(model.config, 0, 1024) == 3 * 10 * 3 * 32 * 10  # log2 1024 = 10


def test_a_sliding_window_reaches_no_further_than_it_is_wide():
    config = MistralConfig(**SIZES, head_dim=8, sliding_window=16)
    assert training_flops_per_token(config, 0, 64) == 12 * 3 * 4 * 8 * 16
    assert training_flops_per_token(config, 0, 8) == 12 * 3 * 4 * 8 * 8


@pytest.mark.parametrize(
    "config", [T5Config(), MixtralConfig(), PaliGemmaConfig()], ids=lambda config: config.model_type
)
def test_says_nothing_where_the_count_would_be_wrong(config):
    assert training_flops_per_token(config, 1000, 16) is None
