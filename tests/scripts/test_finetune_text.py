"""Every task of texts from the script, end to end: few rows of real text, tiny checkpoints."""

import itertools
import json

import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

ROWS = 60


def events(folder, kind: str) -> list[dict]:
    written = (folder / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, written) if event["event"] == kind]


def logged(folder, name: str) -> list[float]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [row[name] for row in history if name in row]


def check_finished(folder, results, metric: str) -> None:
    """The folder holds a finished run of two epochs, each of which was evaluated."""
    assert json.loads((folder / "all_results.json").read_text()) == results
    assert len(logged(folder, f"eval_{metric}")) == 2
    assert f"eval_{metric}" in results
    assert results["epoch"] == 2
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert (folder / "README.md").read_text().startswith("---")


@pytest.fixture
def questions(real_data):
    """Return real questions with their numbers of classes, each class about as often."""
    lines = real_data("text_classification/TREC.train.all").read_bytes().decode("latin-1").split("\n")
    pairs = [line.split(" ", 1) for line in lines if line]
    return [(int(label), text) for label, text in pairs[:ROWS]]


@pytest.fixture
def write(tmp_path):
    def rows(items, name: str = "rows.jsonl") -> str:
        path = tmp_path / name
        path.write_text("".join(json.dumps(item) + "\n" for item in items))
        return str(path)

    return rows


def test_six_kinds_of_questions_from_a_plain_file(finetune, text_checkpoint, tmp_path, questions, capsys):
    lines = [f"{label} {text}\n" for label, text in questions]
    train, held = tmp_path / "questions.train.all", tmp_path / "questions.test.all"
    train.write_text("".join(lines[:48]))
    held.write_text("".join(lines[48:]))
    results, folder = finetune(
        "--task", "text-classification", "--model_name_or_path", text_checkpoint("bert"), "--train_file", str(train),
        "--validation_file", str(held),
    )  # fmt: skip
    check_finished(folder, results, "accuracy")
    assert {"eval_f1_macro", "eval_matthews_correlation"} < results.keys()
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert model.config.id2label == {number: str(number) for number in range(6)}
    assert model.config.problem_type == "single_label_classification"
    said = capsys.readouterr().out
    assert "recipe small_data: 48 examples, 39.1 k parameters" in said
    assert "8 examples per class are few" in said
    assert "made anew, as the checkpoint has none that fits this task: bert.pooler.dense.bias" in said
    assert "LOAD REPORT" not in said
    assert "true / predicted" in said
    report = (folder / "report.html").read_text()
    assert "true / predicted" in report or "Confusion" in report
    assert "text-classification" in (folder / "README.md").read_text()


def test_the_saved_classifier_gives_the_accuracy_that_is_reported(finetune, text_checkpoint, write, questions):
    rows = [{"text": text, "label": "human" if label == 3 else "other"} for label, text in questions]
    results, folder = finetune(
        "--task", "text-classification", "--model_name_or_path", text_checkpoint("bert"), "--train_file", write(rows),
        "--validation_file", write(rows, "again.jsonl"),
    )  # fmt: skip
    check_finished(folder, results, "accuracy")
    model, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(folder),
        AutoTokenizer.from_pretrained(folder),
    )
    inputs = tokenizer(
        [text for _, text in questions], padding=True, truncation=True, max_length=48, return_tensors="pt"
    )
    with torch.no_grad():
        predicted = model.eval()(**inputs).logits.argmax(-1)
    names = [model.config.id2label[number] for number in predicted.tolist()]
    right = sum(
        name == ("human" if label == 3 else "other") for name, (label, _) in zip(names, questions, strict=True)
    )
    assert results["eval_accuracy"] == pytest.approx(right / ROWS)


def run_card(folder) -> dict:
    """Run the code of a model card; returns what it defines."""
    code = (folder / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    defined: dict = {}
    exec(code, defined)
    return defined


@pytest.mark.parametrize(
    ("architecture", "flags"),
    [("bert", []), ("gpt2", []), ("bert", ["--merge_adapter"]), ("bert", ["--adapter", "ia3"])],
)
def test_the_card_of_an_adapter_loads_the_classifier_that_was_evaluated(
    finetune, text_checkpoint, write, questions, architecture, flags
):
    rows = [{"text": text, "label": f"kind {label % 5}"} for label, text in questions]
    path = write(rows)
    _, first = finetune(  # a checkpoint whose head is for two other classes
        "--task", "text-classification", "--model_name_or_path", text_checkpoint(architecture), "--max_steps", "1",
        "--train_file", write([{**row, "label": len(row["text"]) % 2} for row in rows], "two.jsonl"), name="two",
    )  # fmt: skip
    adapter = [] if "--adapter" in flags else ["--adapter", "lora"]
    results, folder = finetune(
        "--task", "text-classification", "--model_name_or_path", str(first), "--train_file", path, *flags, *adapter,
        "--validation_file", write(rows, "again.jsonl"),
    )  # fmt: skip
    model = run_card(folder)["model"]
    answers = model([text for _, text in questions], truncation=True, max_length=48, batch_size=20)
    right = sum(answer["label"] == row["label"] for answer, row in zip(answers, rows, strict=True))
    assert results["eval_accuracy"] == pytest.approx(right / ROWS)
    assert {answer["label"] for answer in answers} <= {row["label"] for row in rows}


def test_pairs_of_texts(finetune, text_checkpoint, write, questions):
    pairs = itertools.pairwise(questions)
    path = write(
        {"first": one, "second": other, "label": "same" if a == b else "other"} for (a, one), (b, other) in pairs
    )
    results, folder = finetune(
        "--task", "text-classification", "--model_name_or_path", text_checkpoint("bert"), "--train_file", path,
        "--text_column", "first", "--text_pair_column", "second", "--max_seq_length", "96",
    )  # fmt: skip
    check_finished(folder, results, "accuracy")
    assert AutoModelForSequenceClassification.from_pretrained(folder).config.label2id == {"other": 0, "same": 1}


def test_several_labels_per_row(finetune, text_checkpoint, write, questions):
    words = ("what", "the", "of")
    path = write(
        {"text": text, "label": [word for word in words if word in text.lower().split()]} for _, text in questions
    )
    results, folder = finetune(
        "--task", "text-classification", "--model_name_or_path", text_checkpoint("bert"), "--train_file", path
    )
    check_finished(folder, results, "multilabel_f1_micro")
    assert {"eval_multilabel_f1_macro", "eval_subset_accuracy"} < results.keys()
    assert 0.6 < logged(folder, "loss")[0] < 0.8  # log 2: each label is a coin toss at first
    config = AutoModelForSequenceClassification.from_pretrained(folder).config
    assert (config.problem_type, sorted(config.label2id)) == ("multi_label_classification", ["of", "the", "what"])


def test_a_number_per_row_also_from_a_table_without_types(finetune, text_checkpoint, tmp_path, questions):
    path = tmp_path / "rows.csv"
    lines = (f'"{text.replace(chr(34), "")}",{len(text) / 40}' for _, text in questions)
    path.write_text("text,label\n" + "\n".join(lines) + "\n")
    results, folder = finetune(
        "--task", "text-classification", "--model_name_or_path", text_checkpoint("bert"), "--train_file", str(path)
    )
    check_finished(folder, results, "pearson")
    assert results["eval_mean_squared_error"] == pytest.approx(results["eval_loss"], rel=1e-4)
    config = AutoModelForSequenceClassification.from_pretrained(folder).config
    assert (config.problem_type, config.num_labels) == ("regression", 1)


@pytest.mark.parametrize(
    ("inside", "outside", "metric"),
    [("B-CAP", "O", "entity_f1"), ("CAP", "low", "accuracy")],
    ids=["entities", "tags"],
)
def test_a_tag_per_word(finetune, text_checkpoint, write, questions, inside, outside, metric):
    rows = (
        (text.split(), [inside if word[0].isupper() else outside for word in text.split()]) for _, text in questions
    )
    path = write({"text": words, "label": tags} for words, tags in rows)
    results, folder = finetune(
        "--task", "token-classification", "--model_name_or_path", text_checkpoint("bert"), "--train_file", path,
        "--max_seq_length", "120",
    )  # fmt: skip
    check_finished(folder, results, metric)
    assert ("eval_entity_recall" in results) == (metric == "entity_f1")
    config = AutoModelForTokenClassification.from_pretrained(folder).config
    assert set(config.label2id) == {inside, outside}


def test_from_text_to_text(finetune, text_checkpoint, write, questions):
    path = write({"text": text, "label": text.split()[0]} for _, text in questions)
    results, folder = finetune(
        "--task", "seq2seq", "--model_name_or_path", text_checkpoint("t5"), "--train_file", path,
        "--max_target_length", "12", "--max_eval_samples", "8",
    )  # fmt: skip
    check_finished(folder, results, "chrf")
    assert {"eval_bleu", "eval_rougeL", "eval_exact_match"} < results.keys()
    model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    written = model.generate(**tokenizer([questions[0][1]], return_tensors="pt"), max_new_tokens=12)
    assert written.shape[1] <= 13
    first, last = events(folder, "samples")
    assert (first["step"], last["step"]) == (0, 12)
    assert last["samples"][0]["reference"] == last["samples"][0]["prompt"].split()[0]


@pytest.mark.parametrize("form", ["instruction", "prompt", "messages"])
def test_instructions_prompts_and_conversations(finetune, write, real_data, tmp_path, form, capsys):
    checkpoint = str(real_data("stories260K"))
    rows = json.loads(real_data("instruct/alpaca_en_demo.json").read_text())[:40]
    if form == "prompt":
        rows = [{"prompt": row["instruction"], "completion": row["output"]} for row in rows]
    if form == "messages":
        rows = [
            {
                "messages": [
                    {"role": "user", "content": row["instruction"]},
                    {"role": "assistant", "content": row["output"]},
                ]
            }
            for row in rows
        ]
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        tokenizer.chat_template = (
            "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}</s>{% endfor %}"
            "{% if add_generation_prompt %}assistant: {% endif %}"
        )
        tokenizer.save_pretrained(tmp_path / "talks")
    flags = ["--tokenizer_name", str(tmp_path / "talks")] if form == "messages" else []
    results, folder = finetune(
        "--task", "causal-lm", "--model_name_or_path", checkpoint, "--train_file", write(rows), *flags,
        "--max_seq_length", "256",
    )  # fmt: skip
    check_finished(folder, results, "perplexity")
    losses = logged(folder, "eval_loss")
    assert losses[-1] < losses[0]
    said = capsys.readouterr().out
    assert "train examples are longer than 256 tokens and were cut" in said
    assert "the checkpoint has no padding token: '</s>', which ends its texts, pads rows too" in said
    sample = events(folder, "samples")[-1]["samples"][0]
    assert sample["prompt"].endswith({"instruction": "### Response:\n", "messages": "assistant: "}.get(form, ""))
    assert sample["reference"] in [
        row.get("output") or row.get("completion") or row["messages"][1]["content"] for row in rows
    ]
    tuned, base = (AutoModelForCausalLM.from_pretrained(path) for path in (folder, checkpoint))
    assert not torch.equal(tuned.model.norm.weight, base.model.norm.weight)


@pytest.mark.parametrize("adapter", ["lora", "prompt_tuning", "prefix_tuning"])
def test_an_adapter_learns_answers_at_its_own_rate_and_loads_with_plain_peft(
    finetune, write, real_data, adapter, capsys
):
    checkpoint = str(real_data("stories260K"))
    rows = json.loads(real_data("instruct/alpaca_en_demo.json").read_text())[:24]
    results, folder = finetune(
        "--task", "causal-lm", "--model_name_or_path", checkpoint, "--train_file", write(rows), "--adapter", adapter,
        "--max_seq_length", "192", recipe="instruct", learning_rate=None,
    )  # fmt: skip
    check_finished(folder, results, "perplexity")
    losses = logged(folder, "eval_loss")
    assert losses[-1] < losses[0]
    said = capsys.readouterr().out
    assert f"learning_rate: {adapter} trains at " in said
    packs = adapter == "lora"  # peft leaves positions out where it puts something before the input
    assert (f"packing: under adapter {adapter} examples would see each other" in said) != packs
    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(checkpoint), str(folder))
    assert tuned.peft_config["default"].peft_type.lower() == adapter
    capsys.readouterr()
    assert run_card(folder)["model"].model.peft_config["default"].peft_type.lower() == adapter
    assert capsys.readouterr().out.strip()
