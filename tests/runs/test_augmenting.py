import shutil

import huggingface_hub.constants
import pytest
import torch
from transformers import AutoConfig, AutoModelForMaskedLM

from hf_strategies.arguments.topics import ModelArguments
from hf_strategies.runs.augmenting import load_masked_lm

REVISIONS = {"main": "0" * 40, "older": "1" * 40}


@pytest.fixture
def hub_name(text_checkpoint, tmp_path, monkeypatch):
    """Name a checkpoint with two branches in the Hub client's cache; the older one's embeddings are all 7."""
    repository = tmp_path / "models--someone--tiny"
    (repository / "refs").mkdir(parents=True)
    for branch, commit in REVISIONS.items():
        (repository / "refs" / branch).write_text(commit)
        shutil.copytree(text_checkpoint("bert"), repository / "snapshots" / commit)
    model = AutoModelForMaskedLM.from_pretrained(text_checkpoint("bert"))
    torch.nn.init.constant_(model.get_input_embeddings().weight, 7.0)
    model.save_pretrained(repository / "snapshots" / REVISIONS["older"])
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    return "someone/tiny"


@pytest.mark.parametrize("revision", [None, "older"])
def test_masks_are_filled_by_the_revision_that_is_trained(hub_name, revision):
    filler = load_masked_lm(ModelArguments(model_name_or_path=hub_name, model_revision=revision))
    assert bool((filler.get_input_embeddings().weight == 7.0).all()) is (revision == "older")


OWN_CODE = """
from transformers import BertConfig, BertForMaskedLM


class OwnConfig(BertConfig):
    model_type = "own"


class OwnModel(BertForMaskedLM):
    config_class = OwnConfig
"""


def test_a_checkpoint_with_code_of_its_own_fills_masks_where_it_may_run(text_checkpoint, tmp_path):
    folder = tmp_path / "own"
    shutil.copytree(text_checkpoint("bert"), folder)
    config = AutoConfig.from_pretrained(folder)
    config.auto_map = {"AutoConfig": "own.OwnConfig", "AutoModelForMaskedLM": "own.OwnModel"}
    config.save_pretrained(folder)
    written = (folder / "config.json").read_text().replace('"model_type": "bert"', '"model_type": "own"')
    (folder / "config.json").write_text(written)
    (folder / "own.py").write_text(OWN_CODE)
    filler = load_masked_lm(ModelArguments(model_name_or_path=str(folder), trust_remote_code=True))
    assert type(filler).__name__ == "OwnModel"
