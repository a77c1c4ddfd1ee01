import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.distributed import checkpoint as dcp
from transformers import LlamaForCausalLM

from hf_strategies.__main__ import main
from hf_strategies.checkpoints.conversion import convert
from hf_strategies.checkpoints.manifest import write_manifest
from hf_strategies.checkpoints.sharded_state import MODEL
from hf_strategies.errors import NoCheckpointError, UserError


@pytest.fixture
def save(tiny_lm, tmp_path):
    """Write a checkpoint of one process into a run's folder; only its weights' type is real."""

    def write(step: int, *, value: float = 0.0):
        folder = tmp_path / "run" / f"checkpoint-{step}"
        tiny_lm.model.norm.weight.data.fill_(value)
        tiny_lm.save_pretrained(folder)
        for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "position.json", "tokenizer.json"):
            (folder / name).write_text("{}")
        write_manifest(folder, {"step": step})
        return folder

    return write


def norm_of(folder) -> float:
    return LlamaForCausalLM.from_pretrained(folder).model.norm.weight[0].item()


def test_a_run_s_newest_whole_checkpoint_becomes_a_model_without_what_is_of_its_training(save, tmp_path):
    save(2, value=2.0)
    save(4, value=4.0)
    damaged = save(6, value=6.0)
    (damaged / "config.json").write_text("{}")
    said = convert(tmp_path / "run", tmp_path / "models" / "model")
    assert said.endswith(f"the model of {tmp_path / 'run' / 'checkpoint-4'}, which was trained by 1 process")
    assert norm_of(tmp_path / "models" / "model") == 4.0
    names = {path.name for path in (tmp_path / "models" / "model").iterdir()}
    assert names == {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    assert damaged.is_dir()  # looking at it has changed nothing


def test_shards_of_fsdp_become_a_model_in_the_type_of_its_config(tiny_lm, tmp_path):
    folder = tmp_path / "checkpoint-2"
    tiny_lm.config.dtype = torch.bfloat16
    tiny_lm.config.architectures = ["LlamaForCausalLM"]
    tiny_lm.config.save_pretrained(folder)
    dcp.save({"model": tiny_lm.state_dict()}, storage_writer=dcp.FileSystemWriter(folder / MODEL), no_dist=True)
    convert(folder, tmp_path / "model")
    loaded = LlamaForCausalLM.from_pretrained(tmp_path / "model")
    for ours, theirs in zip(tiny_lm.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(ours.bfloat16(), theirs)


def test_shards_of_an_adapter_become_one_that_peft_loads(tiny_lm, tmp_path):
    base = {name: value.clone() for name, value in tiny_lm.state_dict().items()}
    settings = LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"], init_lora_weights=False)
    adapted = get_peft_model(tiny_lm, settings)
    folder = tmp_path / "checkpoint-2"
    adapted.peft_config["default"].save_pretrained(folder)
    trained = {name: param.detach() for name, param in adapted.named_parameters() if param.requires_grad}
    dcp.save({"model": trained}, storage_writer=dcp.FileSystemWriter(folder / MODEL), no_dist=True)
    convert(folder, tmp_path / "adapter")
    fresh = LlamaForCausalLM(tiny_lm.config)
    fresh.load_state_dict(base)
    loaded = dict(PeftModel.from_pretrained(fresh, tmp_path / "adapter").named_parameters())
    assert len(trained) == 5  # two matrices in each of two layers, and the head
    for name, value in trained.items():
        assert torch.equal(loaded[name], value), name


def test_what_is_no_checkpoint_or_damaged_is_refused_in_a_line_and_leaves_nothing(save, tmp_path, capsys):
    checkpoint, out = save(2), tmp_path / "out"
    (tmp_path / "empty").mkdir()
    refusals = {
        tmp_path / "nowhere": "there is no such folder",
        tmp_path / "empty": "it has no weights, and no checkpoint-N in it",
    }
    capsys.readouterr()
    for source, said in refusals.items():
        assert main(["convert", str(source), str(out)]) == 2
        assert capsys.readouterr().err == f"error: {source} is not a checkpoint: {said}\n"
    (checkpoint / "scheduler.pt").write_text("[]")
    with pytest.raises(UserError, match=r"scheduler\.pt: its content has changed since it was saved"):
        convert(checkpoint, out)
    with pytest.raises(NoCheckpointError, match="none of its 1 checkpoints is whole"):
        convert(tmp_path / "run", out)
    assert not out.exists()


def test_a_folder_that_is_there_is_left_alone(save, tmp_path):
    with pytest.raises(UserError, match="is there already: name a new folder"):
        convert(save(2), tmp_path / "run")


def test_weights_that_the_shards_lack_are_named_and_nothing_is_left(tiny_lm, tmp_path):
    folder = tmp_path / "checkpoint-2"
    tiny_lm.config.architectures = ["LlamaForCausalLM"]
    tiny_lm.config.save_pretrained(folder)
    state = {name: value for name, value in tiny_lm.state_dict().items() if name != "model.norm.weight"}
    dcp.save({"model": state}, storage_writer=dcp.FileSystemWriter(folder / MODEL), no_dist=True)
    with pytest.raises(UserError, match=r"lacks 1 weights of a LlamaForCausalLM, such as model.norm.weight"):
        convert(folder, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["MyOwn"]}))
    with pytest.raises(UserError, match="names a class 'MyOwn', which transformers does not have"):
        convert(folder, tmp_path / "model")
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"has no config.json: put the model's beside its shards"):
        convert(folder, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2"]
