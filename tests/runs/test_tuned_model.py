from types import SimpleNamespace

import pytest
import torch
import transformers
from peft import PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, TrainingArguments

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.tuning_topics import FINETUNE
from hf_strategies.errors import UserError
from hf_strategies.models.factory import count_parameters
from hf_strategies.runs.tuned_model import (
    build_tuned_model,
    checkpoint_config,
    known_classes,
    load_processor,
    no_loading_report,
    pad,
    sequence_length,
)
from hf_strategies.tasks import TASKS
from hf_strategies.tasks.task import TaskSettings


@pytest.fixture
def classifier(text_checkpoint, tmp_path):
    """Return the folder of a checkpoint that tells classes of some names apart."""

    def make(*classes: str) -> str:
        numbered = dict(enumerate(classes))
        config = AutoConfig.from_pretrained(
            text_checkpoint("bert"), num_labels=len(classes), id2label=numbered,
            label2id={name: number for number, name in numbered.items()},
        )  # fmt: skip
        torch.manual_seed(1)
        with no_loading_report():
            model = AutoModelForSequenceClassification.from_pretrained(text_checkpoint("bert"), config=config)
        torch.nn.init.constant_(model.classifier.weight, 7.0)
        model.save_pretrained(tmp_path / "classifier")
        AutoTokenizer.from_pretrained(text_checkpoint("bert")).save_pretrained(tmp_path / "classifier")
        return str(tmp_path / "classifier")

    return make


def asked(checkpoint: str, *words: str, task: str = "text-classification"):
    argv = ["full", "--task", task, "--model_name_or_path", checkpoint, *words]
    return parse_arguments(argv, description="", default_recipe="finetune", job=FINETUNE)


def config_of(arguments):
    return checkpoint_config(arguments.model, TASKS[arguments.task.task].build(TaskSettings()).head)


def settled(arguments, *labels):
    task = TASKS[arguments.task.task].build(TaskSettings())
    rows = [{"text": f"text {number}", "label": label} for number, label in enumerate(labels)]
    task.settle(rows, rows, known_classes(config_of(arguments)))
    return task


def built(checkpoint: str, *labels, flags=()):
    arguments = asked(checkpoint, *flags)
    task = settled(arguments, *labels)
    config = config_of(arguments)
    processor = load_processor(arguments, task, config)
    args = TrainingArguments(output_dir="unused", use_cpu=True, report_to="none")
    return build_tuned_model(arguments, args, task, processor, None, config)


def test_a_head_of_the_same_classes_is_kept_and_keeps_their_numbers(classifier):
    tuned = built(classifier("yes", "no"), "no", "yes")
    assert tuned.model.config.id2label == {0: "yes", 1: "no"}
    assert (tuned.model.classifier.weight == 7.0).all()
    assert tuned.notes == []


def test_a_head_of_other_classes_is_drawn_anew(classifier):
    tuned = built(classifier("yes", "no"), "up", "down")
    assert (tuned.model.classifier.weight.abs() < 0.2).all()  # normal with a deviation of 0.02
    assert (tuned.model.classifier.bias == 0).all()
    assert tuned.notes == ["made anew, as the checkpoint's is for other classes (yes, no): classifier"]


def test_a_head_of_more_classes_is_drawn_anew_and_the_body_kept(classifier, text_checkpoint):
    tuned = built(classifier("yes", "no"), "yes", "no", "maybe")
    assert tuned.model.classifier.weight.shape == (3, 32)
    (note,) = tuned.notes
    assert note.startswith("made anew, as the checkpoint has none that fits this task: classifier.bias, classifier")
    body = AutoModelForSequenceClassification.from_pretrained(text_checkpoint("bert")).bert.embeddings
    torch.testing.assert_close(tuned.model.bert.embeddings.word_embeddings.weight, body.word_embeddings.weight)


def test_classes_without_names_are_known_by_their_numbers(text_checkpoint):
    assert known_classes(config_of(asked(text_checkpoint("bert")))) == ("0", "1")


def test_parameters_are_counted_without_loading_them(text_checkpoint):
    config = config_of(asked(text_checkpoint("bert")))
    assert (
        count_parameters(config, "sequence-classification")
        == built(text_checkpoint("bert"), "a", "b").model.num_parameters()
    )


HEAD = {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize(
    ("flags", "trained"),
    [
        (["--linear_probe"], HEAD),
        (["--freeze", "encoder|embeddings"], HEAD | {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}),
    ],
)
def test_what_is_frozen_is_said(classifier, flags, trained):
    tuned = built(classifier("a", "b"), "a", "b", flags=flags)
    assert {name for name, param in tuned.model.named_parameters() if param.requires_grad} == trained
    assert tuned.notes[-1].startswith("frozen: ")


def test_an_adapter_trains_beside_the_head(classifier):
    tuned = built(classifier("a", "b"), "a", "b", flags=["--adapter", "lora"])
    trained = {name for name, param in tuned.model.named_parameters() if param.requires_grad}
    assert all("lora_" in name or "classifier" in name for name in trained)
    assert any("lora_B" in name for name in trained)


@pytest.mark.parametrize("adapter", ["lora", "ia3", "prompt_tuning"])
def test_blocks_that_start_anew_are_trained_and_saved_with_an_adapter(classifier, tmp_path, adapter):
    checkpoint = classifier("a", "b")
    tuned = built(checkpoint, "a", "b", flags=["--adapter", adapter, "--reinitialize_blocks", "1"]).model
    top = [param for name, param in tuned.named_parameters() if "layer.1." in name and "original_module" not in name]
    assert all(param.requires_grad for param in top)
    tuned.save_pretrained(tmp_path / "adapter")
    base = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    loaded = PeftModel.from_pretrained(base, str(tmp_path / "adapter"))
    tokens = torch.arange(24).view(2, 12)
    with torch.no_grad():
        expected, got = (model.eval()(input_ids=tokens).logits for model in (tuned, loaded))
    torch.testing.assert_close(got, expected)


def test_a_probe_trains_what_no_checkpoint_gave_besides_the_head(text_checkpoint):
    tuned = built(text_checkpoint("bert"), "a", "b", flags=["--linear_probe"])  # pretrained without a pooler
    trained = {name for name, param in tuned.model.named_parameters() if param.requires_grad}
    assert trained == HEAD | {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}


def test_a_row_is_as_long_as_the_checkpoint_has_positions_for(text_checkpoint):
    tokenizer = SimpleNamespace(model_max_length=10**30)

    def length(*words, checkpoint="bert", task="text-classification"):
        arguments = asked(text_checkpoint(checkpoint), *words, task=task)
        return sequence_length(arguments, config_of(arguments), tokenizer)

    assert length() == 128  # 256 is the usual
    assert length("--max_seq_length", "64") == 64
    tokenizer.model_max_length = 100  # of RoBERTa, whose first two positions are for padding
    assert length() == 100
    with pytest.raises(UserError, match="max_seq_length 128 is longer than the 100 positions"):
        length("--max_seq_length", "128")
    soft = ["--adapter", "prompt_tuning"]
    assert length(*soft) == 80  # beside its 20 tokens
    soft += ["--adapter_kwargs", '{"num_virtual_tokens": 5}']
    assert length(*soft) == 95
    with pytest.raises(UserError, match=r"96 is longer than the 95 positions of .* beside the 5 tokens of prompt"):
        length(*soft, "--max_seq_length", "96")
    assert length("--max_seq_length", "999", checkpoint="t5", task="seq2seq") == 999


def test_a_checkpoint_without_a_padding_token_gets_one_and_says_so(text_checkpoint):
    tokenizer = AutoTokenizer.from_pretrained(text_checkpoint("gpt2"))
    config = AutoConfig.from_pretrained(text_checkpoint("gpt2"))
    assert pad(config, tokenizer) == []  # its own
    config.pad_token_id = None
    assert pad(config, tokenizer) == [
        "the checkpoint has no padding token: '<|endoftext|>', which ends its texts, pads rows too"
    ]
    assert config.pad_token_id == tokenizer.eos_token_id


def test_a_tokenizer_larger_than_the_embedding_is_refused(text_checkpoint):
    with pytest.raises(UserError, match=r"the tokenizer has 358 tokens, the embedding of .* 260 rows"):
        built(text_checkpoint("bert"), "a", "b", flags=["--tokenizer_name", text_checkpoint("t5")])


def test_the_hosts_own_list_of_new_weights_is_not_shown(text_checkpoint, capfd):
    before = transformers.logging.get_verbosity()
    built(text_checkpoint("bert"), "a", "b")
    assert "LOAD REPORT" not in "".join(capfd.readouterr())
    assert transformers.logging.get_verbosity() == before
