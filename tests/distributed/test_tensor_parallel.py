import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, LlamaConfig

from hf_strategies.distributed.tensor_parallel import check_splittable, loaded_parts
from hf_strategies.errors import UserError
from hf_strategies.models.factory import create_model

ROOT = Path(__file__).parents[2]

LOAD = """
import json, sys
import torch
from torch.distributed.tensor import DTensor
from transformers import AutoConfig
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.models.factory import load_model

torch.distributed.init_process_group("gloo")
model = load_model(sys.argv[1], AutoConfig.from_pretrained(sys.argv[1]))
ids = torch.arange(24).view(2, 12) % 60
loss = model(input_ids=ids, labels=ids).loss
loss.backward()
query = model.model.layers[0].self_attn.q_proj.weight
found = {"loss": loss.item(), "rows": (query.to_local() if isinstance(query, DTensor) else query).shape[0]}
with open(f"{sys.argv[1]}/{torch.distributed.get_rank()}.json", "w") as file:
    json.dump(found, file)
leave_process_group()
"""


@pytest.fixture
def two_parts(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("ACCELERATE_USE_PARALLELISM_CONFIG", "true")
    monkeypatch.setenv("PARALLELISM_CONFIG_TP_SIZE", "2")


def test_two_processes_hold_half_of_the_heads_each_and_compute_one_models_loss(
    tiny_lm, forked_python, tmp_path, two_parts
):
    tiny_lm.save_pretrained(tmp_path)
    ids = torch.arange(24).view(2, 12) % 60
    expected = tiny_lm(input_ids=ids, labels=ids).loss.item()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "PYTHONPATH": str(ROOT)}
    shared |= {"LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [forked_python, "-c", LOAD, str(tmp_path)],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        for rank in ranks:
            _, errors = rank.communicate(timeout=300)
            assert rank.returncode == 0, errors[-2000:]
    finally:
        for rank in ranks:
            rank.kill()
    for rank in (0, 1):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found["loss"] == pytest.approx(expected, rel=1e-5)
        assert found["rows"] == tiny_lm.config.hidden_size // 2


def test_a_new_model_cannot_be_split(two_parts):
    assert loaded_parts() == 2
    with pytest.raises(UserError, match="name one with model_name_or_path"):
        create_model(LlamaConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=32))
    with torch.device("meta"):
        create_model(LlamaConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=32))


@pytest.mark.parametrize(
    ("config", "parts", "complaint"),
    [
        (
            LlamaConfig(hidden_size=48, num_attention_heads=6, num_key_value_heads=6),
            4,
            r"num_attention_heads to divide, got 6: .*2 or 3",
        ),
        (
            LlamaConfig(num_attention_heads=8, num_key_value_heads=2),
            4,
            "num_key_value_heads to divide, got 2: .* to 2$",
        ),
        (GPT2Config(), 2, "gpt2 has no tensor-parallel plan"),
    ],
)
def test_a_model_that_does_not_divide_is_refused(config, parts, complaint):
    with pytest.raises(UserError, match=complaint):
        check_splittable(config, parts)


def test_heads_that_divide_are_taken():
    check_splittable(LlamaConfig(num_attention_heads=8, num_key_value_heads=4), 4)
