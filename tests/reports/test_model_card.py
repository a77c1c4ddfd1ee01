import re

import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

from hf_strategies.reports.model_card import model_card
from hf_strategies.reports.run_record import AdapterBase, RunRecord


def record(**more):
    return RunRecord(**{"title": "A model", "location": "runs/pretrain-1", "summary": "Trained here.", **more})


def code_blocks(card):
    return re.findall(r"^(`{3,})(\w+)\n(.*?)\n\1$", card, re.MULTILINE | re.DOTALL)


def test_the_hub_reads_its_front_matter():
    card = ModelCard(model_card(record(base_model="org/base", datasets=["org/text"])))
    assert card.data.library_name == "transformers"
    assert card.data.pipeline_tag == "text-generation"
    assert "hf_strategies" in card.data.tags
    assert card.data.base_model == "org/base"
    assert card.data.datasets == ["org/text"]
    assert card.text.strip().startswith("# A model\n\nTrained here.")


def test_what_there_is_not_is_not_claimed():
    card = model_card(record())
    data = ModelCard(card).data
    assert data.base_model is None
    assert data.datasets is None
    assert not {"## Training data", "## Settings", "## Run it again"} & set(card.splitlines())


@pytest.mark.parametrize(("tag", "said"), [("text-generation", True), ("text-classification", False)])
def test_the_usage_is_python_that_loads_this_model(tag, said, run_events):
    ((_, language, code), *_) = code_blocks(model_card(record(pipeline_tag=tag, events=run_events)))
    assert language == "python"
    compile(code, "card", "exec")
    assert f"pipeline('{tag}', 'runs/pretrain-1')" in code
    assert ("model('def f('" in code) is said


def test_a_class_of_ours_is_imported_before_the_host_is_asked_for_it():
    ((_, _, code), *_) = code_blocks(model_card(record(package="hf_strategies.models.hyena")))
    compile(code, "card", "exec")
    assert code.index("\nimport hf_strategies.models.hyena ") < code.index("model = pipeline(")
    assert "import hf_strategies" not in model_card(record())


def test_an_encoder_is_shown_with_a_gap_to_fill(run_events):
    run_events[-2]["samples"][0]["prompt"] = "a [MASK] c"
    ((_, _, code), *_) = code_blocks(model_card(record(pipeline_tag="fill-mask", events=run_events)))
    assert code.endswith("model = pipeline('fill-mask', 'runs/pretrain-1')\nprint(model('a [MASK] c'))")
    ((_, _, code), *_) = code_blocks(model_card(record(pipeline_tag="fill-mask")))
    assert code.endswith("'runs/pretrain-1')")  # which mask it has, nobody knows


def test_an_encoder_decoder_for_which_the_host_has_no_pipeline_is_shown_without_one(run_events):
    ((_, _, code), *_) = code_blocks(model_card(record(pipeline_tag="text2text-generation", events=run_events)))
    compile(code, "card", "exec")
    assert "pipeline" not in code
    assert "model = AutoModelForSeq2SeqLM.from_pretrained('runs/pretrain-1')" in code
    assert "tokenizer('def f('" in code


def test_a_model_of_grey_pictures_is_shown_without_the_hosts_pipeline_which_makes_them_colours(
    tmp_path, monkeypatch, capsys
):
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = ViTConfig(image_size=8, patch_size=4, num_channels=1, id2label={0: "bright", 1: "dark"}, **sizes)
    ViTForImageClassification(config).save_pretrained(tmp_path)
    ViTImageProcessorPil(size={"height": 8, "width": 8}, image_mean=[0.5], image_std=[0.5]).save_pretrained(tmp_path)
    Image.new("RGB", (20, 10), "white").save(tmp_path / "image.png")
    card = model_card(record(pipeline_tag="image-classification", is_grey=True, location=str(tmp_path)))
    ((_, _, code), *_) = code_blocks(card)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out.strip() in ("bright", "dark")


BASE = AdapterBase("org/base", "AutoModelForAny", {"id2label": {0: "a'b", 1: "c"}, "ignore_mismatched_sizes": True})


@pytest.mark.parametrize(
    ("tag", "loaded"),
    [
        ("text-classification", "pipeline('text-classification', {}, tokenizer='runs/pretrain-1')"),
        ("image-classification", "{}"),  # the host's pipeline warns that it is none of its models
        ("video-classification", "{}"),
        ("text2text-generation", "{}"),
    ],
)
def test_an_adapter_is_loaded_onto_its_base(tag, loaded):
    card = model_card(record(pipeline_tag=tag, adapter_base=BASE))
    assert ModelCard(card).data.library_name == "peft"
    ((_, _, code), *_) = code_blocks(card)
    compile(code, "card", "exec")
    assert (
        "base = AutoModelForAny.from_pretrained(\n    'org/base',\n    id2label={0: \"a'b\", 1: 'c'},\n"
        "    ignore_mismatched_sizes=True,\n)\n"
    ) in code
    assert "model = " + loaded.format("PeftModel.from_pretrained(base, 'runs/pretrain-1')") in code.splitlines()


def test_results_and_settings_stand_in_tables():
    card = model_card(record(
        results={"eval_loss": 2.6412},
        settings=[("model", "vocab_size", 4096, "recipe.yaml:2"), ("model", "hidden_size", 8, "default")],
    ))  # fmt: skip
    assert "| evaluation loss | 2.641 |" in card
    assert "| `vocab_size` | 4096 | recipe.yaml:2 |" in card
    assert "hidden_size" not in card


def test_text_from_outside_breaks_neither_table_nor_fence():
    card = model_card(record(data={"path": "a|b\nc<script>"}, command=["x.py", "```\nfake"], notes=["two\nlines"]))
    assert "| path | a\\|b c&lt;script> |" in card
    assert "\n- two lines\n" in card
    assert ("````", "bash", "x.py '```\nfake'") in code_blocks(card)


def test_the_picture_is_shown_where_there_was_something_to_draw(run_events):
    assert "![Loss](loss.png)" in model_card(record(events=run_events))
    assert "loss.png" not in model_card(record(results={"eval_loss": 2.0}))


@pytest.mark.parametrize(("tag", "seen"), [("image-classification", True), ("text-classification", False)])
def test_the_limits_are_those_of_what_it_was_shown(tag, seen):
    limits = model_card(record(pipeline_tag=tag)).partition("## Limits")[2]
    assert ("held-out pictures" in limits) is seen
    assert ("held-out text" in limits) is not seen
