"""Every callback works in every Trainer: run twice, resumed, with frozen weights, without changing the training."""

import pytest
import torch
from datasets import Dataset
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
    TrainingArguments,
)
from trl import SFTConfig, SFTTrainer

from hf_strategies.callbacks import CALLBACKS

HOSTS = {
    "Trainer": (Trainer, TrainingArguments),
    "Seq2SeqTrainer": (Seq2SeqTrainer, Seq2SeqTrainingArguments),
    "SFTTrainer": (SFTTrainer, SFTConfig),
}

# What a callback cannot be built without; a new one that needs something says so here.
SETTINGS = {
    # A constant curve at the group's own value: what changes no weight is to change none.
    "hyperparameter_curve": lambda _: {"hyperparameter": "beta1", "scheduler": "constant"},
    "samples": lambda _: {"prompts": ["ab"], "max_new_tokens": 2, "at_evaluations": True},
    "event_log": lambda folder: {"path": folder / "events.jsonl"},
    # The average of the last weights alone.
    "weight_averaging": lambda _: {"average": "last_k", "k": 1, "every": 1},
    "early_stopping": lambda _: {"restore_best": False},
}


def build_model(host: str):
    torch.manual_seed(0)
    if host == "Seq2SeqTrainer":
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2, "vocab_size": 258}
        return T5ForConditionalGeneration(T5Config(**sizes, decoder_start_token_id=257, pad_token_id=257))
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    tokens = {"vocab_size": 258, "bos_token_id": None, "eos_token_id": 256, "pad_token_id": 257}
    return LlamaForCausalLM(LlamaConfig(**sizes, **tokens, max_position_embeddings=32, attention_dropout=0.1))


@pytest.fixture(scope="module")
def rows() -> Dataset:
    ids = torch.randint(0, 256, (16, 8), generator=torch.Generator().manual_seed(0)).tolist()
    return Dataset.from_dict({"input_ids": ids, "labels": ids})


def train(host: str, folder, rows, tokenizer, callbacks) -> list[list[torch.Tensor]]:
    """Train, train again, and resume from the first checkpoint; return the weights after each."""
    trainer_class, arguments_class = HOSTS[host]
    args = arguments_class(
        str(folder / "out"),
        max_steps=2,
        save_steps=1,
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=1,
        per_device_train_batch_size=4,
        learning_rate=1e-2,
        bf16=False,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        restore_callback_states_from_checkpoint=True,
    )
    model = build_model(host)
    model.get_input_embeddings().weight.requires_grad_(False)
    trainer = trainer_class(
        model,
        args,
        train_dataset=rows,
        eval_dataset=rows.select(range(4)),
        processing_class=tokenizer,
        callbacks=callbacks,
    )
    weights = []
    for resume in (None, None, str(folder / "out" / "checkpoint-1")):
        trainer.train(resume_from_checkpoint=resume)
        assert trainer.state.global_step == 2
        weights.append([param.detach().clone() for param in trainer.model.parameters()])
    return weights


@pytest.fixture(scope="module")
def weights_without(tmp_path_factory, rows, byte_tokenizer):
    """What each Trainer comes to without our callbacks."""
    return {host: train(host, tmp_path_factory.mktemp(host), rows, byte_tokenizer, None) for host in HOSTS}


def test_there_is_something_to_check():
    assert CALLBACKS.names()


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("name", CALLBACKS.names())
def test_runs_twice_resumes_and_changes_no_weight(name, host, rows, byte_tokenizer, tmp_path, weights_without):
    callback = CALLBACKS[name].build(**SETTINGS.get(name, lambda _: {})(tmp_path))
    weights = train(host, tmp_path, rows, byte_tokenizer, [callback])
    for ours, theirs in zip(weights, weights_without[host], strict=True):
        for our, their in zip(ours, theirs, strict=True):
            assert torch.equal(our, their)


@pytest.mark.parametrize("name", CALLBACKS.names())
def test_leaves_no_hook_on_the_model(name, rows, byte_tokenizer, tmp_path):
    callback = CALLBACKS[name].build(**SETTINGS.get(name, lambda _: {})(tmp_path))
    args = TrainingArguments(
        str(tmp_path), max_steps=1, eval_strategy="steps", use_cpu=True, report_to="none", disable_tqdm=True
    )
    model = build_model("Trainer")
    Trainer(
        model, args, train_dataset=rows, eval_dataset=rows, processing_class=byte_tokenizer, callbacks=[callback]
    ).train()
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())
