import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig

from hf_strategies.distributed.pipeline import loading
from hf_strategies.distributed.pipeline.loading import load_own_stage
from hf_strategies.distributed.pipeline.place import Place

WHOLE = "model.safetensors"


@pytest.mark.parametrize("family", ["llama", "untied", "gpt_neox", "gpt2", "mixtral"])
@pytest.mark.parametrize("stage", [0, 1])
def test_a_stage_has_its_weights_of_a_checkpoint_and_no_others(build, tmp_path, family, stage):
    whole = build(family)
    whole.save_pretrained(tmp_path)
    own, found = load_own_stage(type(whole), str(tmp_path), whole.config, Place(stage, 2, 1), dtype=torch.float32)
    assert not found["missing_keys"]
    here = {name: param for name, param in own.named_parameters() if not param.is_meta}
    assert 0 < len(here) < len(list(whole.named_parameters()))
    assert all(torch.equal(param, whole.get_parameter(name)) for name, param in here.items())
    for name, buffer in own.named_buffers():
        assert torch.equal(buffer, whole.get_buffer(name))
    assert own.get_input_embeddings().weight.is_meta is (stage == 1 and not whole.config.tie_word_embeddings)
    assert own.name_or_path == str(tmp_path)
    assert not any(hasattr(module, "_hf_hook") for module in own.modules())


def test_what_belongs_to_others_is_not_read(build, tmp_path, monkeypatch):
    whole = build("untied")
    whole.save_pretrained(tmp_path, max_shard_size="4KB")
    read, opened = [], loading.safe_open

    class Noted:
        def __init__(self, *args):
            self.file = opened(*args)

        def __enter__(self):
            self.stored = self.file.__enter__()
            return self

        def __exit__(self, *error):
            return self.file.__exit__(*error)

        def get_tensor(self, name):
            read.append(name)
            return self.stored.get_tensor(name)

        def __getattr__(self, name):
            return getattr(self.stored, name)

    monkeypatch.setattr(loading, "safe_open", Noted)
    own, _ = load_own_stage(type(whole), str(tmp_path), whole.config, Place(1, 2, 1), dtype=torch.float32)
    assert sorted(read) == sorted(name for name, param in own.named_parameters() if not param.is_meta)


def test_names_without_the_base_models_prefix_are_found(build, tmp_path):
    whole = build("gpt2")
    whole.save_pretrained(tmp_path)
    bare = {name.removeprefix("transformer."): weight for name, weight in load_file(tmp_path / WHOLE).items()}
    save_file(bare, tmp_path / WHOLE, {"format": "pt"})
    own, found = load_own_stage(type(whole), str(tmp_path), whole.config, Place(1, 2, 1), dtype=torch.float32)
    assert not found["missing_keys"]
    assert torch.equal(own.transformer.ln_f.weight, whole.transformer.ln_f.weight)


def test_how_a_checkpoint_writes_comes_with_it(build, tmp_path):
    whole = build("llama")
    whole.generation_config = GenerationConfig(do_sample=True, top_p=0.7)
    whole.save_pretrained(tmp_path)
    own, _ = load_own_stage(type(whole), str(tmp_path), whole.config, Place(0, 2, 1), dtype=torch.float32)
    assert own.generation_config.top_p == 0.7


def test_weights_that_are_not_read_in_part_are_left_to_the_host(build, tmp_path):
    whole = build("llama")
    whole.config.save_pretrained(tmp_path)
    assert load_own_stage(type(whole), str(tmp_path), whole.config, Place(0, 2, 1)) is None
