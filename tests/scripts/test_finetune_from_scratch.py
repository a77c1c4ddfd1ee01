"""Texts, words and clips by models that start from random weights, end to end."""

import json
import re

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoModelForVideoClassification,
    AutoTokenizer,
)

CITIES, WORDS = ["Rome", "Oslo", "Lima"], ["we", "saw", "the", "rain", "in", "and", "near"]
SMALL = ["--hidden_size", "32", "--num_hidden_layers", "1", "--vocab_size", "300", "--num_train_epochs", "6"]


def draw(number: int, length: int) -> list[str]:
    return [str(word) for word in np.random.default_rng(number).choice(WORDS, size=length)]


@pytest.fixture
def texts(tmp_path):
    """Texts whose class is the order of two words that both have."""
    rows = []
    for number in range(160):
        words, first = draw(number, 6), number % 2
        words[1:1] = ["good"] if first else ["bad"]
        words[-1:-1] = ["bad"] if first else ["good"]
        rows.append({"text": " ".join(words), "label": "rises" if first else "falls"})
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(tmp_path / "texts.jsonl")


def test_a_recurrent_classifier_learns_an_order_of_words_with_a_tokenizer_of_its_own(finetune, texts, capsys):
    task = ["--task", "text-classification", "--train_file", texts, "--architecture", "gru"]
    results, folder = finetune(*task, *SMALL, "--learning_rate", "1e-2")
    shown = capsys.readouterr().out
    assert re.search(r"recipe text_from_scratch: \d+ examples, a model from scratch", shown)
    assert "the tokenizer was trained on the rows: " in shown
    assert results["eval_accuracy"] > 0.9
    tokenizer, model = (
        AutoTokenizer.from_pretrained(folder),
        AutoModelForSequenceClassification.from_pretrained(folder),
    )
    assert (model.config.cell, model.config.bidirectional, len(tokenizer)) == ("gru", True, model.config.vocab_size)
    assert model.config.pad_token_id == tokenizer.pad_token_id
    rows = tokenizer(["we saw good rain in bad", "bad in good"], padding=True, return_tensors="pt")
    with torch.no_grad():
        scores = model(**rows).logits
    assert [model.config.id2label[number] for number in scores.argmax(1).tolist()] == ["rises", "falls"]


def test_the_recipes_own_sizes_go_with_another_architecture_and_an_encoder_takes_its_special_tokens(finetune, texts):
    task = ["--task", "text-classification", "--train_file", texts, "--architecture", "bert", "--parameters", "100k"]
    _, folder = finetune(*task, "--vocab_size", "300", "--max_steps", "4", "--max_seq_length", "24")
    tokenizer, model = (
        AutoTokenizer.from_pretrained(folder),
        AutoModelForSequenceClassification.from_pretrained(folder),
    )
    assert tokenizer.decode(tokenizer("rain")["input_ids"]) == "[CLS]rain[SEP]"
    assert (model.config.model_type, model.config.max_position_embeddings) == ("bert", 24)
    assert model.num_parameters() == pytest.approx(100_000, rel=0.4)


def test_a_recurrent_tagger_learns_names(finetune, tmp_path):
    rows = []
    for number in range(120):
        words = draw(number, 5)
        tags = ["O"] * 6
        tags[number % 5] = "B-city"
        words.insert(number % 5, CITIES[number % 3])
        rows.append({"text": words, "label": tags})
    (tmp_path / "words.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = ["--task", "token-classification", "--train_file", str(tmp_path / "words.jsonl"), "--architecture", "lstm"]
    results, folder = finetune(*task, *SMALL, "--learning_rate", "2e-2", "--architecture_kwargs", "dropout=0.1")
    assert results["eval_entity_f1"] > 0.9
    assert AutoModelForTokenClassification.from_pretrained(folder).config.cell == "lstm"


def test_a_residual_network_learns_which_way_a_clip_runs(finetune, tmp_path, capsys):
    brighter = np.linspace(0.2, 0.8, 6, dtype=np.float32)[None, :, None, None]
    noise = np.random.default_rng(0).normal(scale=0.1, size=(48, 2, 6, 8, 10)).astype(np.float32)
    labels = np.arange(48) % 2
    clips = np.where(labels[:, None, None, None, None] == 1, brighter, brighter[:, ::-1]) + noise
    np.savez(tmp_path / "clips.npz", clips=clips, labels=labels)
    task = ["--task", "clip-classification", "--train_file", str(tmp_path / "clips.npz")]
    sizes = ["--architecture", "resnet3d", "--hidden_size", "8", "--num_hidden_layers", "10"]
    results, folder = finetune(*task, *sizes, "--num_train_epochs", "6")
    assert "recipe clips_from_scratch: " in capsys.readouterr().out
    assert results["eval_accuracy"] > 0.9
    model = AutoModelForVideoClassification.from_pretrained(folder)
    assert (model.config.num_channels, model.config.stem) == (2, "small")
    with torch.no_grad():
        scores = model(torch.from_numpy(clips).transpose(1, 2)).logits
    assert (scores.argmax(1).numpy() == labels).mean() > 0.9
