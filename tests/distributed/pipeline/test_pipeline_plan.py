import pytest
from torch import nn
from transformers import BertConfig, BertForMaskedLM, BloomConfig, BloomForCausalLM, LlamaConfig, LlamaModel

from hf_strategies.distributed.pipeline.plan import PipelinePlan, pipeline_plan, split_units, units_of
from hf_strategies.errors import UserError


@pytest.mark.parametrize(
    ("family", "plan"),
    [
        ("llama", PipelinePlan(("embed_tokens",), "layers", ("norm",))),
        ("gpt_neox", PipelinePlan(("embed_in", "emb_dropout"), "layers", ("final_layer_norm",))),
        ("gpt2", PipelinePlan(("wte", "wpe", "drop"), "h", ("ln_f",))),
    ],
)
def test_a_plan_is_what_the_configuration_declares_and_ours_for_gpt2(build, family, plan):
    assert pipeline_plan(build(family)) == plan


def test_a_model_without_a_plan_is_refused():
    with pytest.raises(UserError, match=r"BloomForCausalLM declares no pipeline plan .* ZeRO"):
        pipeline_plan(BloomForCausalLM(BloomConfig(vocab_size=8, hidden_size=8, n_layer=2, n_head=2)))
    small = {"vocab_size": 8, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    with pytest.raises(UserError, match="BertForMaskedLM declares no pipeline plan"):
        pipeline_plan(BertForMaskedLM(BertConfig(**small, intermediate_size=8)))


def test_blocks_that_share_more_than_hidden_states_are_refused(build):
    balanced = build("mixtral")
    balanced.config.output_router_logits = True
    said = r"MixtralForCausalLM: a loss balances the experts of all blocks, .* \(output_router_logits\): take ZeRO"
    with pytest.raises(UserError, match=said):
        pipeline_plan(balanced)
    sharing = build("gemma4")
    sharing.config.num_kv_shared_layers = 2
    with pytest.raises(UserError, match="Gemma4ForCausalLM: blocks share keys and values"):
        pipeline_plan(sharing)


def test_weights_that_a_plan_leaves_out_would_be_on_no_stage_and_are_refused(build):
    model = build("llama")
    model.model.adapter = nn.Linear(2, 2)
    with pytest.raises(UserError, match=r"weights that its pipeline plan leaves out \(adapter\)"):
        pipeline_plan(model)


def test_a_model_without_a_head_of_its_own_is_refused():
    with pytest.raises(UserError, match="causal language models, got LlamaModel"):
        pipeline_plan(LlamaModel(LlamaConfig(vocab_size=8, hidden_size=8, num_hidden_layers=2, num_attention_heads=2)))


def units(*sizes: int) -> list[nn.ModuleList]:
    """Units with so many parameters each: the first embeds, the last is the head."""
    return [nn.ModuleList([nn.Linear(size, 1, bias=False)]) for size in sizes]


@pytest.mark.parametrize(
    ("sizes", "stages", "method", "cuts"),
    [
        ((4, 4, 4, 4, 4, 4), 2, "parameters", [0, 3, 6]),
        ((4, 4, 4, 4, 4, 4), 3, "uniform", [0, 2, 4, 6]),
        ((20, 4, 4, 4, 4, 4), 2, "parameters", [0, 2, 6]),  # 24 against 16: a stage of the embedding alone is none
        ((1, 4, 4, 4, 4, 20), 2, "best", [0, 4, 6]),
        ((9, 9, 1, 1, 1, 9), 2, "type:linear", [0, 3, 6]),
    ],
)
def test_stages_are_cut_where_the_largest_is_smallest_and_each_has_a_block(sizes, stages, method, cuts):
    assert split_units(units(*sizes), stages, method) == cuts


def test_the_units_of_a_model_are_its_embedding_its_blocks_and_its_end(build):
    model = build("llama")
    first, *blocks, last = units_of(model, pipeline_plan(model))
    assert list(first) == [model.model.embed_tokens]
    assert [block[0] for block in blocks] == list(model.model.layers)
    assert list(last) == [model.model.norm, model.lm_head]


@pytest.mark.parametrize(
    ("stages", "method", "said"),
    [
        (5, "parameters", "5 stages need a model of at least as many layers, got 4: lower pipeline.stages"),
        (2, "profile", "pipeline.partition must be parameters, uniform, or type:REGEX, got 'profile'"),
        (2, "type:conv", r"no layer's class matches 'conv' \(there are: Linear\)"),
        (2, "type:(", "is no regular expression"),
    ],
)
def test_what_cannot_be_cut_is_refused_in_a_line(stages, method, said):
    with pytest.raises(UserError, match=said):
        split_units(units(4, 4, 4, 4, 4, 4), stages, method)
