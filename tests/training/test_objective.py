"""Objectives by name in a Trainer: one gradient however an update is split, and what is evaluated and refused."""

import copy
from types import SimpleNamespace

import pytest
import torch
from peft import AdaLoraConfig, LoraConfig, get_peft_model
from torch import nn
from torch.nn import functional as F
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5Config,
    T5ForConditionalGeneration,
    TrainerCallback,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from hf_strategies.errors import UserError
from hf_strategies.objectives import OBJECTIVES
from hf_strategies.training import StrategyMixin, StrategyTrainer

SIZES = {
    "vocab_size": 64,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
DRAWS = torch.Generator().manual_seed(0)
IDS = torch.randint(1, 64, (8, 6), generator=DRAWS)
PIXELS = torch.randn(8, 3, 8, 8, generator=DRAWS)
CLASSES = IDS[:, 0] % 3
UNEVEN = IDS.masked_fill(torch.rand(8, 6, generator=DRAWS) < 0.4, -100)  # rows have 1 to 6 tokens with a label


def bert(**config):
    return BertForSequenceClassification(BertConfig(**SIZES, **STILL, **config))


def bert_of_tokens():
    return BertForTokenClassification(BertConfig(**SIZES, **STILL, num_labels=64))


def llama():
    return LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=2, pad_token_id=0))


def llama_with_lora():
    lora = LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    return get_peft_model(llama(), lora)


def gpt2():
    still = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2, n_positions=8, **still))


def t5():
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    return T5ForConditionalGeneration(T5Config(vocab_size=64, **sizes, dropout_rate=0.0, decoder_start_token_id=0))


def vit():
    sizes = {name: size for name, size in SIZES.items() if name != "vocab_size"}
    return ViTForImageClassification(ViTConfig(**sizes, **STILL, image_size=8, patch_size=4, num_labels=3))


class Lossless(nn.Module):
    """A model that knows nothing of labels."""

    def __init__(self):
        super().__init__()
        self.embeddings, self.head = nn.Embedding(64, 16), nn.Linear(16, 3)
        self.config = SimpleNamespace(to_json_string=lambda: "{}")

    def forward(self, input_ids):
        return {"logits": self.head(self.embeddings(input_ids).mean(dim=1))}


ONE_HOT = F.one_hot(CLASSES, 3)
MIXED = 0.7 * ONE_HOT + 0.3 * ONE_HOT.flip(0)
FLAGS = ONE_HOT.masked_fill(torch.eye(8, 3, dtype=torch.bool), -100)
NUMBERS = torch.tensor([-100.0, 3.0, -1.0, 0.5, 2.0, 0.0, 9.0, -4.0])
TEXT, IMAGES = {"input_ids": IDS}, {"pixel_values": PIXELS.double()}
SMOOTH = {"label_smoothing": 0.1}

CASES = {
    "classes": (lambda: bert(num_labels=3), TEXT, CLASSES, "cross_entropy", {"class_weights": [0.5, 1, 4], **SMOOTH}),
    "focal": (lambda: bert(num_labels=3), TEXT, CLASSES, "focal", {"gamma": 1.5, "class_weights": [0.5, 1, 4]}),
    "flags": (lambda: bert(num_labels=3), TEXT, FLAGS, "binary_cross_entropy", {"positive_weights": [2, 1, 4]}),
    "numbers": (lambda: bert(num_labels=1), TEXT, NUMBERS.double(), "mean_squared_error", {}),
    "huber": (lambda: bert(num_labels=1), TEXT, NUMBERS.double(), "huber", {"delta": 0.5}),
    "tokens": (bert_of_tokens, TEXT, UNEVEN, "cross_entropy", SMOOTH),
    "next tokens": (llama, TEXT, UNEVEN, "cross_entropy", SMOOTH),
    "next tokens of GPT-2": (gpt2, TEXT, UNEVEN, "focal", {}),
    "next tokens under LoRA": (llama_with_lora, TEXT, UNEVEN, "cross_entropy", {}),
    "sequences": (t5, TEXT, UNEVEN, "cross_entropy", SMOOTH),
    "images with soft labels": (vit, IMAGES, MIXED, "cross_entropy", {"class_weights": [0.5, 1, 4]}),
    "a model without a loss": (Lossless, TEXT, CLASSES, "cross_entropy", {}),
}


class KeepGradients(TrainerCallback):
    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.found = {name: param.grad.clone() for name, param in model.named_parameters() if param.grad is not None}


def as_rows(features, labels):
    return [
        {**{name: values[index] for name, values in features.items()}, "labels": labels[index]} for index in range(8)
    ]


@pytest.fixture
def prepare(arguments):
    def build(model, features, labels, *, split=(8, 1), callbacks=None, changes=None, **options):
        args = arguments(
            max_steps=1, save_strategy="no", max_grad_norm=0, per_device_train_batch_size=split[0],
            gradient_accumulation_steps=split[1],
            train_sampling_strategy="sequential", **{"per_device_eval_batch_size": 8, **(changes or {})},
        )  # fmt: skip
        rows = as_rows(features, labels)
        return StrategyTrainer(model, args, train_dataset=rows, eval_dataset=rows, callbacks=callbacks, **options)

    return build


def textbook_loss(model, features, labels, objective, settings):
    """The loss of the whole batch at once, with a causal model's labels one position on."""
    more = (
        {"decoder_input_ids": model.prepare_decoder_input_ids_from_labels(labels)} if "T5" in str(type(model)) else {}
    )
    logits = model(**features, **more)["logits"]
    if any(name in str(type(model)) for name in ("GPT2", "Llama", "Peft")):
        logits, labels = logits[:, :-1], labels[:, 1:]
    return OBJECTIVES[objective].build(logits, labels, **settings)


@pytest.mark.parametrize("split", [(8, 1), (4, 2), (2, 4)], ids=["8x1", "4x2", "2x4"])
@pytest.mark.parametrize("case", CASES)
def test_an_update_has_one_gradient_however_it_is_split(prepare, case, split):
    build, features, labels, objective, settings = CASES[case]
    torch.manual_seed(0)
    model = build().double()
    reference, keep = copy.deepcopy(model).train(), KeepGradients()
    options = {"objective": objective, "objective_kwargs": settings}
    trainer = prepare(model, features, labels, split=split, callbacks=[keep], **options)
    trainer.train()
    loss = textbook_loss(reference, features, labels, objective, settings)
    loss.backward()
    expected = {name: param.grad for name, param in reference.named_parameters() if param.grad is not None}
    assert keep.found.keys() == expected.keys()
    for name, grad in expected.items():
        torch.testing.assert_close(keep.found[name], grad, rtol=1e-9, atol=1e-12)
    assert trainer.state.log_history[0]["loss"] == pytest.approx(loss.item(), rel=1e-6)


@pytest.mark.parametrize("split", [(8, 1), (2, 4)], ids=["8x1", "2x4"])
def test_the_penalty_of_adalora_is_in_the_loss_as_peft_adds_it(prepare, split):
    torch.manual_seed(0)
    ranks = {"init_r": 4, "target_r": 2, "total_step": 9, "orth_reg_weight": 0.3}
    adalora = AdaLoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], **ranks)
    model = get_peft_model(llama(), adalora).double()
    reference, keep = copy.deepcopy(model).train(), KeepGradients()
    prepare(model, TEXT, UNEVEN, split=split, callbacks=[keep], objective="cross_entropy").train()
    outputs = reference(input_ids=IDS, labels=UNEVEN)  # peft adds it to the model's loss, which is summed in float32
    outputs.loss.backward()
    for name, param in reference.named_parameters():
        if param.grad is not None:
            torch.testing.assert_close(keep.found[name], param.grad, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("case", CASES)
def test_evaluations_show_the_objective_without_its_settings(prepare, case):
    build, features, labels, objective, settings = CASES[case]
    torch.manual_seed(0)
    model = build().double()
    trainer = prepare(model, features, labels, objective=objective, objective_kwargs=settings)
    plain = OBJECTIVES[objective].facts["evaluated_by"]
    expected = textbook_loss(model.eval(), features, labels, plain, {}).item()
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_an_evaluation_is_the_mean_over_all_items_however_it_is_batched(prepare, case):
    """Rows have one to six tokens with a label, and batches of three leave two rows for the last."""
    build, features, labels, objective, _ = CASES[case]
    torch.manual_seed(0)
    model = build().double()
    plain = OBJECTIVES[objective].facts["evaluated_by"]
    expected = textbook_loss(copy.deepcopy(model).eval(), features, labels, plain, {}).item()
    trainer = prepare(model, features, labels, objective=objective, changes={"per_device_eval_batch_size": 3})
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-6)


def test_a_model_that_writes_its_answers_is_evaluated_on_the_objective_too(tmp_path):
    class Writer(StrategyMixin, Seq2SeqTrainer):
        pass

    torch.manual_seed(0)
    model, rows = t5(), as_rows(TEXT, UNEVEN)
    args = Seq2SeqTrainingArguments(
        tmp_path, use_cpu=True, report_to="none", disable_tqdm=True, per_device_eval_batch_size=3,
        predict_with_generate=True, generation_max_length=4,
    )  # fmt: skip
    found = Writer(model, args, objective="cross_entropy").predict(rows)
    expected = textbook_loss(model.eval(), TEXT, UNEVEN, "cross_entropy", {}).item()
    assert found.metrics["test_loss"] == pytest.approx(expected, rel=1e-6)
    assert found.predictions.ndim == 2  # tokens, and no logits


def test_who_looks_at_a_loss_besides_evaluations_sees_the_one_that_is_trained_on(prepare):
    """The guard compares it with the losses of updates."""
    model = bert(num_labels=3)
    trainer = prepare(model, TEXT, CLASSES, objective="focal")
    found = trainer.compute_loss(model.eval(), {**TEXT, "labels": CLASSES})
    torch.testing.assert_close(found, textbook_loss(model, TEXT, CLASSES, "focal", {}))


def test_the_hosts_label_smoothing_is_the_objectives(prepare):
    def first_loss(changes=None, **options):
        torch.manual_seed(0)
        trainer = prepare(bert(num_labels=3), TEXT, CLASSES, changes=changes, **options)
        trainer.train()
        return trainer.state.log_history[0]["loss"]

    hosts = {"label_smoothing_factor": 0.2}
    ours = first_loss(objective="cross_entropy", objective_kwargs={"label_smoothing": 0.2})
    assert first_loss(hosts, objective="cross_entropy") == pytest.approx(ours, rel=1e-6)
    assert first_loss(hosts) == pytest.approx(ours, rel=1e-6)  # the host's own, without an objective
    assert first_loss(objective="cross_entropy") != pytest.approx(ours, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "changes", "complaint"),
    [
        (
            {"objective": "cross_entropy", "objective_kwargs": SMOOTH},
            {"label_smoothing_factor": 0.1},
            "cannot both be",
        ),
        ({"objective": "focal"}, {"label_smoothing_factor": 0.1}, "has no place in the objective 'focal'"),
        ({"objective": "focal", "compute_loss_func": max}, {}, "objective and compute_loss_func cannot both be given"),
        ({"objective_kwargs": SMOOTH}, {}, "need the name of an objective"),
        ({"objective": "focl"}, {}, "did you mean 'focal'"),
        ({"objective": "focal", "objective_kwargs": {"gamma": -1}}, {}, "gamma of objective 'focal' must be"),
    ],
)
def test_a_loss_that_is_chosen_twice_or_not_at_all_is_refused(prepare, options, changes, complaint):
    with pytest.raises(UserError, match=complaint):
        prepare(bert(num_labels=3), TEXT, CLASSES, changes=changes, **options)


def test_a_model_without_logits_and_data_without_labels_are_refused(prepare):
    class Headless(Lossless):
        def forward(self, input_ids):
            return SequenceClassifierOutput(hidden_states=(self.embeddings(input_ids),))

    with pytest.raises(UserError, match="objective needs logits, and Headless returns none"):
        prepare(Headless(), TEXT, CLASSES, objective="focal").train()
    trainer = prepare(bert(num_labels=3), TEXT, CLASSES, objective="focal")
    trainer.train_dataset = [{"input_ids": row} for row in IDS]
    with pytest.raises(UserError, match="objective needs labels"):
        trainer.train()
