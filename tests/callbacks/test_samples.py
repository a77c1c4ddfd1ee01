import contextlib
import copy
import io
import json
import time

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
)

from hf_strategies import StrategyTrainer
from hf_strategies.callbacks.samples import Sample, SamplePrinterCallback, complete, format_sample, undisturbed
from hf_strategies.errors import UserError


def test_a_sample_shows_the_prompts_end_and_how_two_texts_go_on():
    shown = format_sample(Sample("1\n2\n3\n4\ndef f(x):\n", "\treturn x\n", "    return " + "y" * 40), width=28)
    assert shown.split("\n") == [
        "    prompt | 2",
        "           | 3",
        "           | 4",
        "           | def f(x):",
        "     model |     return x",
        "           |",
        "      text |     return yyyy",
    ]


@pytest.fixture
def build_gpt2():
    def build(**sizes) -> GPT2LMHeadModel:
        torch.manual_seed(0)
        return GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=1, vocab_size=258, **sizes)).eval()

    return build


def test_greedy_completion_is_the_likeliest_token_again_and_again(tiny_lm, byte_tokenizer):
    ids = byte_tokenizer("ab")["input_ids"]
    for _ in range(5):
        ids.append(int(tiny_lm(torch.tensor([ids])).logits[0, -1].argmax()))
    completion = complete(tiny_lm, byte_tokenizer, "ab", max_new_tokens=5)
    assert completion == byte_tokenizer.decode(ids[2:], skip_special_tokens=True)


def test_a_long_prompt_keeps_its_end(tiny_lm, byte_tokenizer):
    tail = "the last words of it all"  # 24 tokens: with 8 new ones, all of the model's 32 positions
    whole = complete(tiny_lm, byte_tokenizer, "nobody reads this " + tail, max_new_tokens=8)
    assert whole == complete(tiny_lm, byte_tokenizer, tail, max_new_tokens=8)


def test_more_new_tokens_than_positions_fill_them_all_but_one(build_gpt2, byte_tokenizer):
    model = build_gpt2(n_positions=8)  # learned positions: past their end there is none
    completion = complete(model, byte_tokenizer, "abc", max_new_tokens=48)
    assert completion == complete(model, byte_tokenizer, "c", max_new_tokens=7)


def test_an_empty_prompt_begins_with_the_end_of_the_document_before(tiny_lm, byte_tokenizer):
    assert complete(tiny_lm, byte_tokenizer, "", max_new_tokens=4) == complete(
        tiny_lm, byte_tokenizer, "<end>", max_new_tokens=4
    )


def test_an_empty_prompt_without_a_token_to_begin_with_is_refused(tiny_lm, byte_tokenizer):
    endless = PreTrainedTokenizerFast(tokenizer_object=byte_tokenizer.backend_tokenizer)
    with pytest.raises(UserError, match="needs a tokenizer with a BOS or an EOS token"):
        complete(tiny_lm, endless, "", max_new_tokens=4)


@pytest.mark.parametrize("do_sample", [True, False])
def test_generation_leaves_everything_as_it_was(tiny_lm, byte_tokenizer, do_sample):
    tiny_lm.train()
    tiny_lm.model.layers[0].eval()  # a module that its owner keeps out of training
    tiny_lm.model.norm.weight.grad = torch.ones(16)
    modes = [module.training for module in tiny_lm.modules()]
    config, stream = copy.deepcopy(tiny_lm.config.to_dict()), torch.get_rng_state()
    with undisturbed(tiny_lm):
        complete(tiny_lm, byte_tokenizer, "ab", max_new_tokens=4, do_sample=do_sample)
    assert [module.training for module in tiny_lm.modules()] == modes
    assert torch.equal(torch.get_rng_state(), stream)
    assert tiny_lm.config.to_dict() == config
    assert [name for name, param in tiny_lm.named_parameters() if param.grad is not None] == ["model.norm.weight"]


def steps_printed(capsys) -> list[int]:
    return [int(line.split()[-1]) for line in capsys.readouterr().out.splitlines() if line.startswith("samples at")]


@pytest.mark.parametrize(("at_evaluations", "steps"), [(False, [0, 4]), (True, [0, 2, 4])])
def test_prints_before_training_and_at_its_end(
    tiny_lm, token_rows, byte_tokenizer, arguments, capsys, tmp_path, at_evaluations, steps
):
    events = tmp_path / "events.jsonl"
    printer = SamplePrinterCallback(
        ["ab", "cd"], references=["x", ""], max_new_tokens=2, at_evaluations=at_evaluations, event_log=events
    )
    args = arguments(eval_strategy="steps", eval_steps=2)
    Trainer(
        tiny_lm,
        args,
        train_dataset=token_rows,
        eval_dataset=token_rows[:4],
        processing_class=byte_tokenizer,
        callbacks=[printer],
    ).train()
    assert steps_printed(capsys) == steps
    written = [json.loads(line) for line in events.read_text().splitlines()]
    assert [(event["event"], event["step"]) for event in written] == [("samples", step) for step in steps]
    assert [sorted(sample) for sample in written[0]["samples"]] == [
        ["completion", "prompt", "reference"],
        ["completion", "prompt"],
    ]


def test_prints_on_a_terminal_that_knows_few_characters(tiny_lm, token_rows, byte_tokenizer, arguments):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    printer = SamplePrinterCallback(["\ufffd\x1b[2J"], max_new_tokens=2)
    trainer = Trainer(
        tiny_lm, arguments(), train_dataset=token_rows, processing_class=byte_tokenizer, callbacks=[printer]
    )
    with contextlib.redirect_stdout(terminal):
        trainer.train()
    terminal.flush()
    assert terminal.buffer.getvalue().count(rb"prompt | \ufffd\x1b[2J") == 2


class AtTwo(TrainerCallback):
    """Stops a run after its second step, or has it interrupted from outside."""

    def __init__(self, stop_file=None):
        self.stop_file = stop_file

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 2 and self.stop_file is not None:
            time.sleep(0.05)  # a look that is due by now
            self.stop_file.touch()
        elif state.global_step == 2:
            control.should_training_stop = True


@pytest.fixture
def train(tiny_lm, token_rows, byte_tokenizer, arguments, capsys):
    """Train four steps, and return those that samples are printed at."""

    def train(*callbacks, **resume):
        trainer = StrategyTrainer(
            tiny_lm,
            arguments(save_strategy="steps", save_steps=2),
            train_dataset=token_rows,
            processing_class=byte_tokenizer,
            callbacks=[SamplePrinterCallback(["ab"], max_new_tokens=2), *callbacks],
        )
        trainer.train(**resume)
        return steps_printed(capsys)

    return train


def test_an_interruption_prints_nothing_and_a_resumed_run_only_its_end(train, tmp_path):
    assert train(AtTwo(tmp_path / "out" / "STOP")) == [0]
    assert train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-2")) == [4]


def test_a_run_that_a_callback_stops_has_come_to_its_end(train):
    assert train(AtTwo()) == [0, 2]


def test_printing_does_not_change_the_training(tiny_lm, token_rows, byte_tokenizer, arguments):
    twin = copy.deepcopy(tiny_lm)
    for model, callbacks in ((tiny_lm, []), (twin, [SamplePrinterCallback(["ab"], do_sample=True)])):
        model.model.layers[0].self_attn.attention_dropout = 0.5
        torch.manual_seed(1)
        Trainer(
            model, arguments(), train_dataset=token_rows, processing_class=byte_tokenizer, callbacks=callbacks
        ).train()
    for ours, theirs in zip(tiny_lm.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_sharded_weights_are_said_once_to_be_why_nothing_is_printed(
    tiny_lm, token_rows, byte_tokenizer, arguments, capsys, caplog
):
    tiny_lm.model.norm.weight.ds_shape = tiny_lm.model.norm.weight.shape  # as ZeRO-3 marks what it partitions
    callbacks = [SamplePrinterCallback(["ab"])]
    Trainer(
        tiny_lm, arguments(), train_dataset=token_rows, processing_class=byte_tokenizer, callbacks=callbacks
    ).train()
    assert steps_printed(capsys) == []
    assert [record.message for record in caplog.records].count(
        "samples are not printed: the weights are sharded, one rank cannot generate alone"
    ) == 1


def test_what_cannot_generate_is_refused_by_name(token_rows, byte_tokenizer, arguments):
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = BertForSequenceClassification(BertConfig(vocab_size=258, **sizes))
    trainer = Trainer(
        model,
        arguments(),
        train_dataset=token_rows,
        processing_class=byte_tokenizer,
        callbacks=[SamplePrinterCallback(["ab"])],
    )
    with pytest.raises(UserError, match="needs a model that generates, got BertForSequenceClassification"):
        trainer.train()


def test_references_come_one_for_each_prompt():
    with pytest.raises(UserError, match="one reference for each of 2 prompts, got 1"):
        SamplePrinterCallback(["a", "b"], references=["c"])
