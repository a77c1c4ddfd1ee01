from transformers import TrainingArguments

from hf_strategies.arguments import parse_arguments
from hf_strategies.runs.startup import (
    describe_batch,
    describe_length,
    describe_model,
    describe_precision,
    describe_strategy,
)


def args(tmp_path, **settings) -> TrainingArguments:
    return TrainingArguments(tmp_path, use_cpu=True, report_to="none", **settings)


def parse(*argv: str):
    return parse_arguments(argv, description="A test.", default_recipe="pretrain")


def test_the_batch_is_spelled_out(tmp_path):
    given = args(tmp_path, per_device_train_batch_size=4, gradient_accumulation_steps=2)
    assert describe_batch(given, 256) == (
        "8 sequences x 256 = 2,048 tokens per update (micro-batch 4 x accumulation 2 x 1 replicas)"
    )
    assert describe_batch(given, None) == "8 sequences per update (micro-batch 4 x accumulation 2 x 1 replicas)"


def test_the_length_is_given_in_updates_tokens_and_epochs(tmp_path):
    given = args(tmp_path, per_device_train_batch_size=4, max_steps=50)
    assert describe_length(given, samples=400, block_size=100) == "50 updates, 20.0 k tokens, 0.50 epochs"
    assert describe_length(given, samples=None, block_size=100) == "50 updates, 20.0 k tokens"
    whole = args(tmp_path, per_device_train_batch_size=4, num_train_epochs=2)
    assert describe_length(whole, samples=398, block_size=100) == "200 updates, 80.0 k tokens, 2.01 epochs"


def test_strategy_and_model_are_named(tmp_path, tiny_lm):
    given = args(tmp_path, learning_rate=4e-3, weight_decay=0.1, warmup_steps=20)
    assert describe_strategy(parse(), given) == "muon at 0.004, weight decay 0.1, linear after 20 warmup"
    hosts = parse("--optim", "adamw_torch", "--lr_scheduler_type", "cosine")
    assert describe_strategy(hosts, given).startswith("adamw_torch")
    shown = describe_model(parse(), tiny_lm)
    assert shown.startswith(f"transformer_pp, {tiny_lm.num_parameters():,} parameters (hidden 16, layers 2, heads 2")


def test_precision_says_who_chose_it(tmp_path):
    shown = describe_precision(parse("--bf16"), args(tmp_path, bf16=True), 2)
    assert shown == "cpu on 2 threads, bf16 (--bf16)"
    assert describe_precision(parse(), args(tmp_path), None) == "cpu, float32"
