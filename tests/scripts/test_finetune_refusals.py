"""What a user of fine-tuning can get wrong: one clear line each and exit code 2, or said and done."""

import json

import pytest

from scripts.finetune import main

TEXTS = [f"Question {number} asks {'who' if number % 2 else 'what'} it was" for number in range(40)]


@pytest.fixture
def write(tmp_path):
    def rows(items, name: str = "rows.jsonl") -> str:
        path = tmp_path / name
        path.write_text("".join(json.dumps(item) + "\n" for item in items))
        return str(path)

    return rows


def labelled(*labels, texts=TEXTS):
    return [{"text": text, "label": labels[number % len(labels)]} for number, text in enumerate(texts)]


@pytest.fixture
def classify(text_checkpoint):
    return ["--task", "text-classification", "--model_name_or_path", text_checkpoint("bert"), "--train_file"]


def test_a_run_without_a_task_or_data_or_checkpoint(refuse_finetune, text_checkpoint, write):
    assert "task: name what is to be learned, one of causal-lm, " in refuse_finetune("--train_file", "rows.jsonl")
    flags = ["--task", "text-classification"]
    assert "train_file: task text-classification needs data" in refuse_finetune(
        *flags, "--model_name_or_path", text_checkpoint("bert")
    )
    path = write(labelled("a", "b"))
    assert "model_name_or_path: name a checkpoint to fine-tune" in refuse_finetune(*flags, "--train_file", path)


def test_only_one_class(refuse_finetune, classify, write):
    said = refuse_finetune(*classify, write(labelled("same")))
    assert said == "error: labels: expected two or more to learn from, got only 'same': nothing can be learned"


def test_a_second_class_that_only_validation_rows_have(refuse_finetune, classify, write):
    held = write(labelled("a", "b", texts=TEXTS[:4]), "held.jsonl")
    said = refuse_finetune(*classify, write(labelled("a", texts=TEXTS[4:])), "--validation_file", held)
    assert "expected two or more to learn from, got only 'a'" in said


def test_labels_of_several_kinds(refuse_finetune, classify, write):
    assert "some rows have a list of labels, others a single one" in refuse_finetune(
        *classify, write(labelled("a", ["b"]))
    )
    assert "a regression needs numbers alone, got 'b' among them" in refuse_finetune(
        *classify, write(labelled(0.5, "b"))
    )


def test_rows_without_a_label_are_too_many(refuse_finetune, classify, write):
    rows = [*labelled("a", "b"), {"text": "no label"}, {"text": "none either", "label": ""}]
    said = refuse_finetune(*classify, write(rows))
    assert "2 of 42 records are broken" in said
    assert "no key 'label'" in said


def test_a_label_column_that_is_not_there(refuse_finetune, classify, write):
    said = refuse_finetune(*classify, write(labelled("a", "b")), "--label_column", "labels")
    assert "no column 'labels', did you mean 'label'?" in said


def test_empty_texts_are_skipped_and_counted_up_to_a_share(refuse_finetune, finetune, classify, write, capsys):
    path = write([*labelled("a", "b"), {"text": " ", "label": "a"}])
    said = refuse_finetune(*classify, path)
    assert "1 of 41 records are broken" in said
    assert "'text' is empty" in said
    _, folder = finetune(*classify, path, "--max_broken_share", "0.1", "--max_steps", "1")
    assert "skipped 1 broken of 41 records" in capsys.readouterr().out
    assert "'text' is empty" in (folder / "report.html").read_text().replace("&#x27;", "'")


def test_classes_that_one_side_lacks_are_named(finetune, classify, write, capsys):
    held = write(labelled("a", "new", "new", texts=TEXTS[:6]), "held.jsonl")
    train = write(labelled("a", "b", texts=TEXTS[6:]))
    finetune(*classify, train, "--validation_file", held, "--max_steps", "1")
    said = capsys.readouterr().out
    assert "labels 'new' (4 rows) are in the validation rows alone: nothing can be learned of them" in said
    assert "labels 'b' (17 rows) are in the training rows alone: no score tells about them" in said


@pytest.fixture
def two_classes(finetune, classify, write, tmp_path):
    """A checkpoint that tells apart "what" and "who"."""
    _, folder = finetune(*classify, write(labelled("what", "who")), "--max_steps", "1", name="two")
    return ["--task", "text-classification", "--model_name_or_path", str(folder), "--train_file"]


def test_a_head_of_other_classes_is_made_anew_and_said(finetune, two_classes, write, capsys):
    capsys.readouterr()
    runs = {
        "same": (("who", "what"), None),
        "more": (("who", "what", "where"), "as the checkpoint has none that fits this task: classifier.bias"),
        "other": (("yes", "no"), "made anew, as the checkpoint's is for other classes (what, who): classifier"),
    }
    for name, (labels, expected) in runs.items():
        finetune(*two_classes, write(labelled(*labels), f"{name}.jsonl"), "--max_steps", "1", name=name)
        said = capsys.readouterr().out
        assert ("made anew" in said) == (expected is not None)
        assert (expected or "") in said


def test_a_checkpoint_of_another_task_says_what_is_made_anew(finetune, two_classes, write, capsys):
    capsys.readouterr()
    rows = [{"text": text.split(), "label": ["B-X", *"OOOOO"]} for text in TEXTS]
    two_classes[1] = "token-classification"
    finetune(*two_classes, write(rows), "--max_steps", "1", "--max_seq_length", "96", name="tags")
    said = capsys.readouterr().out
    assert "made anew, as the checkpoint's is of BertForSequenceClassification: classifier" in said


def test_checkpoints_that_cannot_have_the_head(refuse_finetune, text_checkpoint, write):
    path = write([{"text": text, "label": "who"} for text in TEXTS])
    flags = ["--task", "seq2seq", "--train_file", path]
    said = refuse_finetune(*flags, "--model_name_or_path", text_checkpoint("bert"))
    assert "is a bert: a seq2seq head needs an encoder and a decoder" in said
    assert "model_name_or_path '/no/such' cannot be read" in refuse_finetune(
        *flags, "--model_name_or_path", "/no/such"
    )


def test_conversations_for_a_tokenizer_without_a_chat_template(refuse_finetune, real_data, write):
    turns = [{"role": "user", "content": "Who was it?"}, {"role": "assistant", "content": "Lily."}]
    checkpoint = str(real_data("stories260K"))
    rows = [{"messages": [*turns[:1], {**turns[1], "content": f"Lily, {number}."}]} for number in range(40)]
    said = refuse_finetune("--task", "causal-lm", "--model_name_or_path", checkpoint, "--train_file", write(rows))
    assert said.startswith("error: the rows are conversations (messages), but the tokenizer of ")
    assert "has no chat template" in said


def test_a_template_that_refuses_a_conversation(refuse_finetune, real_data, write, tmp_path):
    from transformers import AutoTokenizer

    checkpoint = str(real_data("stories260K"))
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    tokenizer.save_pretrained(tmp_path / "strict")
    rows = [{"messages": [{"role": "assistant", "content": f"Lily, {number}."}]} for number in range(40)]
    flags = ["--model_name_or_path", checkpoint, "--tokenizer_name", str(tmp_path / "strict")]
    said = refuse_finetune("--task", "causal-lm", *flags, "--train_file", write(rows))
    assert "the chat template does not take this conversation: roles must alternate" in said


def test_a_prompt_template_with_a_column_that_is_not_there(refuse_finetune, real_data, write):
    rows = [{"prompt": text, "completion": "Lily."} for text in TEXTS]
    flags = ["--task", "causal-lm", "--model_name_or_path", str(real_data("stories260K")), "--train_file", write(rows)]
    said = refuse_finetune(*flags, "--prompt_template", "Q: {question}")
    assert "prompt_template: expected the columns in braces ({prompt}, {completion})" in said


def test_an_adapter_that_matches_nothing(refuse_finetune, classify, write):
    path = write(labelled("a", "b"))
    said = refuse_finetune(*classify, path, "--adapter", "lora", "--target_modules", "qkv_proj")
    assert "qkv_proj" in said
    assert said.count("\n") == 0


def test_four_bits_without_their_package(refuse_finetune, classify, write, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else found(name))
    said = refuse_finetune(*classify, write(labelled("a", "b")), "--adapter", "lora", "--quantization", "nf4")
    assert said == "error: --quantization: quantization 'nf4' needs the package bitsandbytes: pip install " + (
        "'hf_strategies[quantization]'"
    )


def test_a_quantized_base_without_an_adapter(refuse_finetune, classify, write):
    said = refuse_finetune(*classify, write(labelled("a", "b")), "--quantization", "nf4")
    assert "quantization nf4 freezes the checkpoint: name an adapter to train on it" in said


def test_more_tokens_than_the_checkpoint_has_positions_for(refuse_finetune, finetune, classify, write):
    path = write(labelled("a", "b"))
    said = refuse_finetune(*classify, path, "--max_seq_length", "256")
    assert "max_seq_length 256 is longer than the 128 positions" in said


def test_a_metric_that_no_evaluation_reports(refuse_finetune, classify, write):
    flags = [*classify, write(labelled("a", "b")), "--metric_for_best_model"]
    assert "unknown metric 'f1_makro', did you mean 'f1_macro'?" in refuse_finetune(*flags, "f1_makro")
    assert "no evaluation of text-classification reports 'bleu' (reported: loss, accuracy, " in refuse_finetune(
        *flags, "bleu"
    )


def test_class_weights_where_rows_have_several_labels(refuse_finetune, classify, write):
    said = refuse_finetune(*classify, write(labelled(["a"], ["a", "b"])), "--class_weights", "balanced")
    assert "class_weights and balanced_sampling need one class per row" in said


def test_a_refused_run_leaves_nothing_behind(refuse_finetune, classify, write, tmp_path):
    refuse_finetune(*classify, write(labelled("same")))
    refuse_finetune(*classify, write(labelled("a", "b")), "--adapter", "lora", "--target_modules", "qkv_proj")
    assert not (tmp_path / "out").exists()


def test_the_traceback_is_there_for_those_who_ask(classify, write):
    with pytest.raises(ValueError, match="got only 'same'"):
        main([*classify, write(labelled("same")), "--debug"])
