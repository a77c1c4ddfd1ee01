"""Every language model on the shelf trains from the command line, goes on where it stopped, and completes texts.

With every kind of optimizer, and with groups of parameters.
"""

import json
import shutil

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from hf_strategies.models import ARCHITECTURES, resolve_sizes
from hf_strategies.models.factory import create_config, create_model
from hf_strategies.optimizers import create_optimizer
from scripts.pretrain import main as pretrain

CAUSAL = [name for name in ARCHITECTURES.names() if "causal" in ARCHITECTURES[name].facts["objectives"]]
SIZES = {"hidden_size": 32, "num_hidden_layers": 2}
RUN = {
    **SIZES,
    "tokenizer": "bytes",
    "vocab_size": None,
    "max_seq_length": 32,
    "global_batch_size": "8",
    "per_device_train_batch_size": 8,
    "max_steps": 6,
    "logging_steps": 1,
    "eval_steps": 6,
    "save_steps": 3,
    "max_eval_samples": 8,
    "num_completions": 0,
    "optimizer": "adamw",
    "optimizer_kwargs": {},
    "learning_rate": 2.0e-2,
    "scheduler": "linear",
    "param_groups": {"layerwise_lr_decay": 0.9},
}


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("contract")
    documents = [f"Document {n}: " + " ".join(f"{n} + {k} = {n + k}." for k in range(20)) for n in range(40)]
    (folder / "corpus.txt").write_text("\n\n".join(documents))
    (folder / "run.yaml").write_text(yaml.safe_dump(RUN))
    return [str(folder / "run.yaml"), "--train_file", str(folder / "corpus.txt")]


@pytest.mark.parametrize("name", CAUSAL)
def test_it_learns_goes_on_to_the_last_bit_and_completes_texts(name, words, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_STRATEGIES_CACHE", str(tmp_path / "cache"))
    # Reports have tests of their own, and would take a sixth of the time here.
    monkeypatch.setattr("hf_strategies.runs.pretraining.write_reports", lambda *_: None)
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    results = pretrain([*words, "--architecture", name, "--output_dir", str(straight)])
    log = json.loads((straight / "trainer_state.json").read_text())["log_history"]
    losses = [row["loss"] for row in log if "loss" in row]
    assert results["eval_loss"] < losses[0] - 0.5
    shutil.copytree(straight, resumed)
    (resumed / "all_results.json").unlink()
    shutil.rmtree(resumed / "checkpoint-6")
    again = pretrain([*words, "--architecture", name, "--output_dir", str(resumed)])
    assert again["eval_loss"] == results["eval_loss"]
    first, second = (AutoModelForCausalLM.from_pretrained(folder) for folder in (straight, resumed))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    ids = AutoTokenizer.from_pretrained(straight)(["Document 1: 1 + ", "Document 2: 2 + "], return_tensors="pt")
    expected = ids["input_ids"]
    for _ in range(4):
        expected = torch.cat([expected, first(expected, use_cache=False).logits[:, -1:].argmax(-1)], dim=1)
    written = first.generate(ids["input_ids"], max_new_tokens=4, do_sample=False, eos_token_id=None)
    assert torch.equal(written, expected)


@pytest.mark.parametrize("name", CAUSAL)
def test_it_learns_with_optimizers_of_every_kind_and_with_groups(name):
    sizes, _ = resolve_sizes(name, SIZES)
    ids = torch.arange(1, 17).repeat(4, 1)
    decay = {"layerwise_lr_decay": 0.8, "decay_embeddings": False}
    for optimizer, lr, groups in (("muon", 0.02, None), ("lamb", 0.05, decay), ("lion", 8e-3, decay)):
        torch.manual_seed(0)
        config = create_config(name, vocab_size=64, max_seq_length=16, sizes=sizes, tokens={"pad_token_id": 0})
        model = create_model(config).train()
        before = [param.detach().clone() for param in model.parameters()]
        updates = create_optimizer(optimizer, model, lr=lr, weight_decay=0.1, param_groups=groups)
        losses = []
        for _ in range(12):
            loss = model(input_ids=ids, labels=ids).loss
            loss.backward()
            updates.step()
            updates.zero_grad()
            losses.append(loss.item())
        assert losses[-1] < losses[0] - 0.5, optimizer
        assert all(not torch.equal(old, new) for old, new in zip(before, model.parameters())), optimizer
