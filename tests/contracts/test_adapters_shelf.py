"""Every adapter: starts where the base stands, learns, is loaded by plain peft elsewhere, merges or says why not."""

import copy
import inspect
import json
import subprocess
import sys

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    ViTConfig,
    ViTForImageClassification,
)

from hf_strategies.adapters import ADAPTERS, adapter_learning_rate
from hf_strategies.adapters.factory import create_adapter
from hf_strategies.adapters.merging import merge_adapter
from hf_strategies.callbacks import CALLBACKS
from hf_strategies.errors import UserError
from hf_strategies.optimizers import create_optimizer

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = {**SIZES, "vocab_size": 64, "initializer_range": 0.2}
GPT2 = {"n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2, "bos_token_id": None, "eos_token_id": None}
MODELS = {
    "llama": ("CAUSAL_LM", LlamaForCausalLM, LlamaConfig(**TEXT, num_key_value_heads=1)),
    "gpt2": ("CAUSAL_LM", GPT2LMHeadModel, GPT2Config(vocab_size=64, initializer_range=0.2, **GPT2)),
    "bert": ("SEQ_CLS", BertForSequenceClassification, BertConfig(**TEXT, num_labels=3)),
    "vit": (None, ViTForImageClassification, ViTConfig(**SIZES, image_size=16, patch_size=8, num_labels=3)),
}
FITTING = [
    (name, model)
    for name in ADAPTERS.names()
    for model in MODELS
    if model != "vit" or ADAPTERS[name].facts["adapts"] != "input"
]

LOAD = """
import json, sys
import torch, transformers
from peft import PeftModel
folder = sys.argv[1]
for name, model, kind in json.load(open(f"{folder}/all.json")):
    base = getattr(transformers, kind).from_pretrained(f"{folder}/{model}")
    batch = torch.load(f"{folder}/{model}/batch.pt")
    del batch["labels"]  # peft's AdaLoRA cannot compute a loss where it does not train
    with torch.no_grad():
        logits = PeftModel.from_pretrained(base, f"{folder}/{name}-{model}").eval()(**batch).logits
    torch.save(logits, f"{folder}/{name}-{model}/logits.pt")
assert not any(module.startswith("hf_strategies") for module in sys.modules)
"""


def build(model: str):
    torch.manual_seed(0)
    _, kind, config = MODELS[model]
    return kind(copy.deepcopy(config)).eval()


def batch_for(model: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    if model == "vit":
        return {"pixel_values": torch.rand(4, 3, 16, 16, generator=generator), "labels": torch.tensor([0, 1, 2, 0])}
    ids = torch.randint(0, 64, (4, 8), generator=generator)
    labels = torch.tensor([0, 1, 2, 0]) if model == "bert" else ids
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def adapt(name: str, model: str, **settings):
    torch.manual_seed(0)
    return create_adapter(name, build(model), task_type=MODELS[model][0], **settings)


def train(name: str, model: str, *, steps: int = 30):
    """Train on one batch at the adapter's own rate; return the model, and the losses."""
    adapted = adapt(name, model).train()
    rate, _ = adapter_learning_rate(1e-3, name)
    groups = ADAPTERS[name].facts.get("param_groups")
    optimizer = create_optimizer("adamw", adapted, lr=rate, param_groups=groups)
    losses = []
    for _ in range(steps):
        loss = adapted(**batch_for(model)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return adapted.eval(), losses


@torch.no_grad()
def logits_of(model, batch) -> torch.Tensor:
    return model(**batch).logits


@pytest.fixture(scope="module")
def trained():
    """Every adapter on every model, trained a little."""
    torch.manual_seed(0)
    return {(name, model): train(name, model) for name, model in FITTING}


@pytest.fixture(scope="module")
def loaded_elsewhere(trained, tmp_path_factory):
    """The logits that a process without this package computes from what was saved."""
    folder = tmp_path_factory.mktemp("adapters")
    for model in MODELS:
        build(model).save_pretrained(folder / model)
        torch.save(batch_for(model), folder / model / "batch.pt")
    for (name, model), (adapted, _) in trained.items():
        adapted.save_pretrained(folder / f"{name}-{model}")
    listed = [(name, model, MODELS[model][1].__name__) for name, model in FITTING]
    (folder / "all.json").write_text(json.dumps(listed))
    subprocess.run([sys.executable, "-c", LOAD, str(folder)], check=True, cwd=folder, env={"OMP_NUM_THREADS": "1"})
    return {pair: torch.load(folder / "-".join(pair) / "logits.pt") for pair in FITTING}


def test_there_is_something_to_check():
    assert ADAPTERS.names()


@pytest.mark.parametrize(("name", "model"), [pair for pair in FITTING if ADAPTERS[pair[0]].facts["adapts"] != "input"])
def test_it_starts_where_the_base_stands(name, model):
    torch.testing.assert_close(
        logits_of(adapt(name, model).eval(), batch_for(model)),
        logits_of(build(model), batch_for(model)),
        atol=1e-5,
        rtol=1e-5,
    )


@pytest.mark.parametrize(("name", "model"), FITTING)
def test_it_learns_and_the_base_stays(name, model, trained):
    adapted, losses = trained[name, model]
    assert losses[-1] < losses[0] - 0.01
    after, before = logits_of(adapted, batch_for(model)), logits_of(build(model), batch_for(model))
    after = after[:, -before.shape[1] :]  # the logits of a prompt's tokens stand before those of the text
    assert not torch.allclose(after, before, atol=1e-3)
    if name == "pissa":
        return  # it splits the weights of the base
    weights = dict(build(model).named_parameters())
    for full_name, param in adapted.get_base_model().named_parameters():
        bare = full_name.replace("base_layer.", "").replace("original_module.", "")
        if bare in weights:
            assert torch.equal(param, weights[bare]), full_name


@pytest.mark.parametrize(("name", "model"), FITTING)
def test_plain_peft_loads_what_is_saved(name, model, trained, loaded_elsewhere):
    expected = logits_of(trained[name, model][0], batch_for(model))
    torch.testing.assert_close(loaded_elsewhere[name, model], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "model"), FITTING)
def test_it_merges_into_a_plain_model_or_says_why_not(name, model, trained):
    adapted = copy.deepcopy(trained[name, model][0])
    if not ADAPTERS[name].facts["merges"]:
        with pytest.raises(UserError, match=f"{name} puts tokens before the input and cannot be merged"):
            merge_adapter(adapted)
        return
    expected = logits_of(adapted, batch_for(model))
    merged = merge_adapter(adapted)
    assert type(merged) is MODELS[model][1]
    assert merged.state_dict().keys() == build(model).state_dict().keys()
    torch.testing.assert_close(logits_of(merged, batch_for(model)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in ADAPTERS.names() if ADAPTERS[name].facts["adapts"] == "input"])
def test_what_goes_before_a_text_does_not_fit_images(name):
    with pytest.raises(UserError, match=f"adapter '{name}' needs a task among CAUSAL_LM, .*, got None"):
        adapt(name, "vit")


@pytest.mark.parametrize("name", ADAPTERS.names())
def test_its_entry_lists_what_its_builder_takes_and_how_it_is_trained(name):
    entry = ADAPTERS[name]
    _, *settings = inspect.signature(entry.build).parameters
    assert tuple(settings) == entry.facts["hyperparameters"]
    assert ("lr" in entry.facts) is not ("lr_ratio" in entry.facts)
    assert entry.facts["lr_source"]
    assert entry.facts.get("callback", "throughput") in CALLBACKS


def test_names_settings_and_rates_are_checked_without_torch():
    program = (
        "import sys; from hf_strategies.adapters import ADAPTERS, adapter_learning_rate, check_adapter_settings\n"
        "for name in ADAPTERS.names(): check_adapter_settings(name, {}); adapter_learning_rate(1e-4, name)\n"
        "assert not {'torch', 'peft', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
