import pytest
import torch
from peft import PeftModel

from hf_strategies.adapters.factory import create_adapter
from hf_strategies.adapters.linear_layers import linear_layers
from hf_strategies.errors import UserError
from hf_strategies.optimizers import create_optimizer


def trained_names(model: PeftModel) -> set[str]:
    return {name.removeprefix("base_model.model.") for name, param in model.named_parameters() if param.requires_grad}


def adapted_layers(model: PeftModel) -> list[str]:
    return [name.split(".lora_A")[0] for name in trained_names(model) if "lora_A" in name]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mamba", "t5", "bert", "roberta", "distilbert", "vit"])
def test_the_layers_of_the_architecture_are_adapted_and_no_others(architecture, tiny_model, task_of):
    expected = linear_layers(tiny_model(architecture)).all
    model = create_adapter("lora", tiny_model(architecture), task_type=task_of(architecture))
    assert sorted(adapted_layers(model)) == sorted(expected)


@pytest.mark.parametrize(
    ("architecture", "heads"),
    [
        ("bert", {"classifier"}),
        ("bert tokens", {"classifier"}),
        ("roberta", {"classifier"}),
        ("distilbert", {"pre_classifier", "classifier"}),
        ("llama classifier", {"score"}),
        ("vit", {"classifier"}),
        ("llama", set()),
        ("t5", set()),
    ],
)
@pytest.mark.parametrize("name", ["lora", "ia3"])
def test_the_head_that_a_task_adds_is_trained_whole(name, architecture, heads, tiny_model, task_of):
    model = create_adapter(name, tiny_model(architecture), task_type=task_of(architecture))
    others = {full for full in trained_names(model) if "lora_" not in full and "ia3_" not in full}
    assert {full.split(".")[0] for full in others} == heads


def test_new_weights_outside_of_the_head_are_trained_whole_too(tiny_model):
    new = ["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "bert.embeddings.position_ids"]
    model = create_adapter("lora", tiny_model("bert"), task_type="SEQ_CLS", new_weights=new)
    assert "bert.pooler.dense.modules_to_save.default.weight" in trained_names(model)
    layer = "bert.encoder.layer.1.output.dense"
    model = create_adapter("lora", tiny_model("bert"), task_type="SEQ_CLS", new_weights=[f"{layer}.weight"])
    assert f"{layer}.modules_to_save.default.weight" in trained_names(model)
    assert layer not in adapted_layers(model)
    assert len(adapted_layers(model)) == 11


def test_a_prompt_trains_itself_and_the_head(tiny_model):
    model = create_adapter("prompt_tuning", tiny_model("bert"), task_type="SEQ_CLS", num_virtual_tokens=3)
    assert trained_names(model) == {
        "base_model.classifier.modules_to_save.default.weight",
        "base_model.classifier.modules_to_save.default.bias",
        "prompt_encoder.default.embedding.weight",
    }
    assert model.prompt_encoder["default"].embedding.weight.shape == (3, 16)
    vocabulary = tiny_model("bert").get_input_embeddings().weight
    prompt = model.prompt_encoder["default"].embedding.weight
    assert all(any(torch.equal(row, word) for word in vocabulary) for row in prompt)


def test_ia3_scales_outputs_of_attention_and_the_input_of_what_leaves_the_feed_forward_layer(tiny_model):
    model = create_adapter("ia3", tiny_model("llama"), task_type="CAUSAL_LM")
    shapes = {
        name.split(".")[-3]: tuple(param.shape) for name, param in model.named_parameters() if param.requires_grad
    }
    assert shapes == {"q_proj": (16, 1), "k_proj": (8, 1), "v_proj": (8, 1), "down_proj": (1, 32)}


def test_settings_reach_the_adapter(tiny_model):
    model = create_adapter("lora", tiny_model("llama"), task_type="CAUSAL_LM", rank=4, alpha=8, dropout=0.1)
    layer = model.get_base_model().model.layers[0].mlp.up_proj
    assert layer.lora_A["default"].weight.shape == (4, 16)
    assert layer.scaling["default"] == 2.0
    assert layer.lora_dropout["default"].p == 0.1


def test_variants_have_the_scale_of_lora_at_rank_16(tiny_model):
    def scale(name: str, **settings) -> float:
        model = create_adapter(name, tiny_model("llama"), task_type="CAUSAL_LM", **settings)
        return model.get_base_model().model.layers[0].mlp.up_proj.scaling["default"]

    assert scale("lora") == scale("rslora") == scale("dora") == 2.0
    assert scale("rslora", rank=4) == 4.0  # 8 / sqrt(4); lora's would be 8
    assert scale("pissa") == scale("pissa", rank=4) == 1.0


def test_pissa_takes_the_principal_part_out_of_the_base(tiny_model):
    weight = tiny_model("llama").model.layers[0].mlp.up_proj.weight
    model = create_adapter("pissa", tiny_model("llama"), task_type="CAUSAL_LM", rank=4)
    rest = model.get_base_model().model.layers[0].mlp.up_proj.base_layer.weight
    largest = torch.linalg.svdvals(weight)
    torch.testing.assert_close(torch.linalg.svdvals(rest)[:12], largest[4:], atol=1e-5, rtol=1e-5)


def test_loraplus_connects_to_the_optimizers_groups(tiny_model):
    from hf_strategies.adapters import ADAPTERS

    model = create_adapter("loraplus", tiny_model("llama"), task_type="CAUSAL_LM")
    optimizer = create_optimizer("adamw", model, lr=1e-3, param_groups=ADAPTERS["loraplus"].facts["param_groups"])
    assert sorted(group["lr"] for group in optimizer.param_groups) == pytest.approx([1e-3, 1.6e-2])


@pytest.mark.parametrize(
    ("name", "architecture", "arguments", "complaint"),
    [
        ("lora", "llama", {"task_type": "CAUSAL_LN"}, "unknown task_type 'CAUSAL_LN', did you mean 'CAUSAL_LM'"),
        (
            "lora",
            "llama",
            {"target_modules": ["q_prok"]},
            "'q_prok' matches no linear layer; the nearest are .*q_proj",
        ),
        ("lora", "bert", {"target_modules": "classifier"}, "'classifier' matches no linear layer"),
        ("prompt_tuning", "llama", {"target_modules": "q_proj"}, "adapts the input and takes no target_modules"),
        (
            "prompt_tuning",
            "llama classifier",
            {},
            "which would score rows at their padding: take prefix_tuning or lora",
        ),
        ("prompt_tuning", "bert tokens", {}, "adapter 'prompt_tuning' needs a task among .*, got TOKEN_CLS; lora"),
        ("prefix_tuning", "llama", {"num_virtual_tokens": 64}, "must be below the model's 64 positions, got 64"),
        ("prefix_tuning", "mamba", {}, "adapter 'prefix_tuning' does not fit MambaForCausalLM: .*; try lora"),
        ("ia3", "mamba", {}, "ia3 scales attention, and MambaForCausalLM has none: name target_modules"),
        (
            "adalora",
            "llama",
            {"target_rank": 12},
            "initial_rank of 'adalora' must be above its target_rank 12, got 12",
        ),
        ("lora", "llama", {"new_weights": ["scale"]}, "new weight 'scale' stands in no module"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(name, architecture, arguments, complaint, tiny_model, task_of):
    model = tiny_model(architecture)
    model.scale = torch.nn.Parameter(torch.ones(1))
    with pytest.raises(UserError, match=complaint) as caught:
        create_adapter(name, model, **{"task_type": task_of(architecture), **arguments})
    assert "\n" not in str(caught.value)


def test_gradient_checkpointing_which_would_lose_a_prefix_is_refused(tiny_model):
    model = create_adapter("prefix_tuning", tiny_model("bert"), task_type="SEQ_CLS")
    with pytest.raises(ValueError, match="BertForSequenceClassification does not support"):
        model.gradient_checkpointing_enable()
    model = tiny_model("bert")
    model.gradient_checkpointing_enable()
    with pytest.raises(UserError, match=r"does not fit Bert.*: .*does not work with gradient checkpointing"):
        create_adapter("prefix_tuning", model, task_type="SEQ_CLS")


def test_one_adapter_is_not_put_on_another(tiny_model):
    model = create_adapter("lora", tiny_model("llama"), task_type="CAUSAL_LM")
    with pytest.raises(UserError, match="adapter 'ia3' needs a bare model, got one with an adapter: merge that first"):
        create_adapter("ia3", model, task_type="CAUSAL_LM")
