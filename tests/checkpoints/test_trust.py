import json

import pytest

from hf_strategies.checkpoints.trust import refuse_untrusted
from hf_strategies.errors import UserError


def write_index(folder, *names):
    weight_map = {f"layer.{number}": name for number, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "outside.safetensors").write_text("secret")
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "../outside.safetensors",
        "shards/../../outside.safetensors",
        "/etc/passwd",
        "C:\\secrets\\x.safetensors",
        "\\\\server\\share\\x.safetensors",
        "..\\outside.safetensors",
    ],
)
def test_an_index_may_not_point_outside(model, name):
    write_index(model, "model-00001-of-00002.safetensors", name)
    with pytest.raises(UserError, match="points outside of the folder"):
        refuse_untrusted(model)


@pytest.mark.parametrize("text", ["", "[]", '{"weight_map": 3}', "[" * 100_000], ids=lambda text: text[:9])
def test_an_index_that_cannot_be_read_is_refused(model, text):
    (model / "model.safetensors.index.json").write_text(text)
    with pytest.raises(UserError, match=r"model\.safetensors\.index\.json cannot be read"):
        refuse_untrusted(model)


def test_a_link_may_not_lead_outside(model, tmp_path):
    (model / "model.safetensors").symlink_to(tmp_path / "outside.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors is a link to a place outside"):
        refuse_untrusted(model)


def test_code_is_the_users_to_allow(model):
    (model / "config.json").write_text('{"auto_map": {"AutoModelForCausalLM": "modeling.Mine"}}')
    with pytest.raises(UserError, match="--trust_remote_code"):
        refuse_untrusted(model)
    refuse_untrusted(model, trust_remote_code=True)
    (model / "config.json").write_text("[" * 100_000)  # whoever loads it says what is wrong
    refuse_untrusted(model)


def test_what_the_hub_client_lays_out_is_harmless(tmp_path):
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123"
    blobs = snapshot.parents[1] / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "abc").write_text("weights")
    (snapshot / "model.safetensors").symlink_to(blobs / "abc")
    write_index(snapshot, "model.safetensors", "parts/model-2.safetensors")
    refuse_untrusted(snapshot)
    (snapshot / "stolen").symlink_to(tmp_path)
    with pytest.raises(UserError, match="stolen is a link"):
        refuse_untrusted(snapshot)
