import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.resolved import resolved_settings
from hf_strategies.arguments.scaling import RunSize, shrink_length, shrink_lengths, shrink_run
from hf_strategies.errors import UserError


def parse(*words: str, job: str = "pretrain"):
    return parse_arguments(list(words), description="", default_recipe=job, job=job)


def test_a_run_has_20_tokens_for_each_parameter_and_the_batch_follows_the_tokens():
    full = RunSize(updates=4800, rows=256, row=2048)  # 2.5 B tokens
    small = shrink_run(full, 5_000_000, cuts_rows=True)
    # 524,288 x (100 M / 2,517 M)^0.571 = 83,200 tokens: 40.6 rows of 2,048, to whole eights
    assert small == RunSize(updates=1221, rows=40, row=2048)


def test_rows_are_halved_until_a_batch_has_eight():
    full = RunSize(updates=572_204, rows=256, row=2048)  # 300 B tokens: 524,288 x (1 / 3,000)^0.571 = 5,420 tokens
    assert shrink_run(full, 5_000_000, cuts_rows=True) == RunSize(updates=24_414, rows=8, row=512)
    assert shrink_run(full, 5_000_000, cuts_rows=False) == RunSize(updates=6104, rows=8, row=2048)


def test_a_run_with_fewer_tokens_stays_as_it_is():
    full = RunSize(updates=400, rows=8, row=256)
    assert shrink_run(full, 5_000_000, cuts_rows=True) == full


@pytest.mark.parametrize(
    ("length", "small"),
    [(2000, 200), ("2M tokens", 10), (0.1, 0.1), (0, 0), (3, 1), ("2 epochs", "2 epochs"), (None, None)],
)
def test_a_length_keeps_its_share_of_the_run(length, small):
    # a tenth of the updates; 2 M of 20,000 tokens each were 100 updates
    assert shrink_length(length, RunSize(10_000, 20, 1000), RunSize(1000, 4, 500)) == small


def test_lengths_are_found_wherever_a_schedule_has_them():
    shape = {
        "phases": [{"scheduler": "cosine", "num_warmup_steps": 100, "num_steps": 5000, "min_lr_ratio": 0.1}],
        "milestones": [1000, 0.5],
        "num_cycles": 4,
    }
    assert shrink_lengths(shape, RunSize(10_000, 20, 1000), RunSize(1000, 4, 500)) == {
        "phases": [{"scheduler": "cosine", "num_warmup_steps": 10, "num_steps": 500, "min_lr_ratio": 0.1}],
        "milestones": [100, 0.5],
        "num_cycles": 4,
    }


def test_a_recipe_shrinks_and_says_by_which_rules():
    shrunk = parse("gpt3_125m", "--scale_to", "5M")
    model, training = shrunk.model, shrunk.training
    assert (model.hidden_size, model.num_hidden_layers, model.num_attention_heads) == (256, 4, 4)
    assert (model.intermediate_size, model.size, model.scale_to) == (1024, None, None)
    # the embedding's 38.6 of 124.0 M parameters, and of 5 M at a third of the width
    assert model.vocab_size == pytest.approx(50257 * 5 / 124.0 * 3, abs=64)
    assert training["max_steps"] == 24_414
    assert shrunk.strategy.global_batch_size == "8"
    assert shrunk.strategy.scheduler_kwargs["phases"][0]["num_steps"] == round(260 / 300 * 24_414)
    assert training["learning_rate"] == pytest.approx(6e-4 * 3**0.5, rel=1e-3)
    said = "\n".join(shrunk.notes)
    for change in (
        "scale_to 5M: global_batch_size 256 -> 8, max_seq_length 2,048 -> 512 (the batch as tokens^0.571;",
        "scale_to 5M: max_steps 572,204 -> 24,414 (100 M tokens, about 20 for each parameter)",
        "num_warmup_steps 375M tokens -> 31",
        "hidden_size 768 -> 256, num_hidden_layers 12 -> 4",
        "learning_rate 0.0006 -> 0.001039 (as one over the root of the width)",
    ):
        assert change in said


def test_what_a_flag_gives_stays():
    flags = ["--max_steps", "1000", "--learning_rate", "2e-3", "--vocab_size", "8000", "--global_batch_size", "64"]
    shrunk = parse("llama_7b", "--scale_to", "5M", *flags, "--max_seq_length", "256")
    assert (shrunk.training["max_steps"], shrunk.training["learning_rate"]) == (1000, 2e-3)
    assert (shrunk.model.vocab_size, shrunk.strategy.global_batch_size, shrunk.data.max_seq_length) == (
        8000,
        "64",
        256,
    )
    assert shrunk.training["warmup_steps"] == round(2000 / 238_419 * 1000)
    assert not [note for note in shrunk.notes if "max_steps" in note or "learning_rate" in note or "vocab" in note]


def test_an_optimizer_with_relative_steps_keeps_its_rate():
    shrunk = parse("bert_large_lamb", "--scale_to", "5M")
    assert shrunk.training["learning_rate"] == 5e-3
    assert "scale_to 5M: learning_rate stays (steps of lamb are relative to the weights)" in shrunk.notes


def test_images_count_by_their_patches():
    shrunk = parse("vit_b16_imagenet", "--scale_to", "5M", job="finetune")
    # 100 M of 196 patches to an image: 510 k images in batches of 4,096 x (100 M / 75.3 B)^0.571 = 93; 48 divide 96
    assert shrunk.training["per_device_train_batch_size"] == 48
    assert (shrunk.strategy.global_batch_size, shrunk.training["max_steps"]) == ("96", 5315)
    assert shrunk.model.patch_size == 16


def test_the_resolved_settings_are_those_of_the_small_run(tmp_path):
    settings = resolved_settings(parse("mamba_125m", "--scale_to", "5M"))
    written = tmp_path / "again.yaml"
    lines = [f"{name}: {settings[name]}" for name in ("hidden_size", "num_hidden_layers", "vocab_size", "max_steps")]
    written.write_text("\n".join(["recipe: mamba_125m", *lines]))
    again = parse(str(written))
    assert settings["scale_to"] is None
    assert (again.model.hidden_size, again.model.num_hidden_layers) == (256, 8)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["gpt3_125m", "--scale_to", "5 X"], "--scale_to: expected a number of parameters"),
        (["gpt3_125m", "--scale_to", "1B"], "--scale_to: scale_to 1B: expected fewer parameters than the recipe's"),
        (["gpt3_125m", "--scale_to", "5M", "--hidden_size", "64"], "--hidden_size: hidden_size does not go"),
        (["gpt3_125m", "--scale_to", "5M", "--size", "350m"], "--size: size does not go with scale_to"),
        (["--scale_to", "5M", "--model_name_or_path", "x"], "--scale_to: scale_to belongs to architecture"),
        (["llama_7b", "--scale_to", "5M", "--warmup_steps", "9000"], "--warmup_steps: warmup_steps must be"),
        (["gpt3_125m", "--scale_to", "5M", "--tokenizer_name", "x"], "take a tokenizer that is trained here"),
    ],
)  # fmt: skip
def test_what_cannot_be_shrunk_is_refused(words, complaint):
    with pytest.raises(UserError) as refused:
        parse(*words)
    assert complaint in str(refused.value)
