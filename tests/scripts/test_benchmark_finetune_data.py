"""What the benchmark of fine-tuning learns from, and what it measures on checkpoints by itself."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_strategies.tasks.causal_lm import PadExamples
from scripts.benchmarks.tuning_runs import checkpoints, packing_speed
from scripts.benchmarks.tuning_runs.data import few_examples, sides, speeches, unlabelled_texts


@pytest.fixture
def data_folder(real_data, monkeypatch):
    """The folder of real data, where the benchmark looks for it."""
    folder = real_data("README.md").parent
    monkeypatch.setenv("HF_STRATEGIES_DATA", str(folder))
    return folder


@pytest.mark.parametrize(("task", "rows", "tested"), [("TREC", 5952, 500), ("rt-polarity", 10662, 1000)])
def test_every_row_is_either_learned_from_or_tested_on(data_folder, task, rows, tested):
    pool, test = sides(task)
    assert (len(pool) + len(test), len(test)) == (rows, tested)
    drawn = few_examples(task, 500, seed=1)
    assert drawn == few_examples(task, 500, seed=1) != few_examples(task, 500, seed=2)
    assert all(found in pool for found in drawn[:20])
    assert all(row["text"] and row["label"].isdigit() for row in pool)


def test_the_encoder_sees_texts_to_learn_from_and_none_that_is_tested(data_folder):
    rows = unlabelled_texts()
    seen = {row["text"] for row in rows}
    assert all(row.keys() == {"text"} for row in rows)
    texts = {task: [{row["text"] for row in side} for side in sides(task)] for task in ("TREC", "rt-polarity")}
    assert len(texts["TREC"][0] & texts["TREC"][1]) == 10  # questions that stand on both sides: they are tested
    assert len(rows) == 7600 + 300 + 999 + sum(len(learned - tested) for learned, tested in texts.values())
    for learned, tested in texts.values():
        assert not tested & seen
        assert learned - tested <= seen


def test_passages_are_whole_speeches_behind_their_first_speaker(data_folder):
    play = (data_folder / "tinyshakespeare" / "input.txt").read_text()
    passages = speeches(50)
    assert len(passages) == 50
    for passage in passages:
        assert f"{passage['prompt']}{passage['completion']}" in play
        assert passage["prompt"].endswith(":\n")
        assert 600 <= len(passage["completion"]) < 6000


def test_a_classifier_is_scored_by_its_own_names_of_classes(text_checkpoint, tmp_path):
    folder = text_checkpoint("bert")
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=3, id2label=dict(enumerate(("one", "two", "three")))
    )
    torch.nn.init.zeros_(model.classifier.weight)
    model.classifier.bias.data = torch.tensor([0.0, 1.0, 0.0])  # it always says "two"
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path)
    rows = [{"text": "a b", "label": label} for label in ("two", "one", "two", "three", "three", "three")]
    assert checkpoints.test_scores(tmp_path, rows, 16) == {"test_accuracy": 2 / 6, "test_majority": 3 / 6}


def test_the_loss_of_texts_is_that_of_all_their_tokens(tiny_lm, tmp_path):
    tiny_lm.save_pretrained(tmp_path)
    texts = [[1, 2, 3, 4, 5], [6, 7]]
    with torch.no_grad():
        losses = [
            -tiny_lm(torch.tensor([text])).logits[0, place].log_softmax(-1)[text[place + 1]]
            for text in texts
            for place in range(len(text) - 1)
        ]
    assert checkpoints.text_loss(tmp_path, texts) == pytest.approx(float(torch.stack(losses).mean()), rel=1e-5)


def test_stories_are_the_models_own_and_end_where_the_next_would_begin(real_data):
    folder = real_data("stories260K")
    stories = checkpoints.sample_texts(folder, 4, seed=0)
    assert stories == checkpoints.sample_texts(folder, 4, seed=0)
    assert stories != checkpoints.sample_texts(folder, 4, seed=1)
    assert all(story[0] == 1 and 1 not in story[1:] for story in stories)
    assert all(" the " in AutoTokenizer.from_pretrained(folder).decode(story) for story in stories)
    assert checkpoints.text_loss(folder, stories) < 2.0  # of 6.2 for guessing


def test_lengths_are_drawn_as_they_are_called():
    draw = packing_speed.draw_lengths
    uniform = np.array(draw("uniform", 4000, np.random.default_rng(0)))
    skewed = np.array(draw("skewed", 4000, np.random.default_rng(0)))
    assert (uniform.min(), uniform.max()) == (16, 512)
    assert uniform.mean() == pytest.approx(264, rel=0.03)  # the middle of 16 and 512
    assert np.median(skewed) == pytest.approx(64, rel=0.08)
    assert skewed.max() == 512


def test_examples_are_cut_from_the_stream_and_learn_all_but_their_prompt():
    examples = packing_speed.cut(list(range(100)), [40, 8, 60])
    assert [example.input_ids[0] for example in examples] == [0, 40, 0]  # 60 are no longer left
    assert examples[0].labels == [-100] * 10 + list(range(10, 40))
    assert examples[1].labels == [-100] * 2 + list(range(42, 48))


def test_the_difference_of_gradients_is_seen_where_examples_see_each_other(tiny_lm, monkeypatch):
    examples = packing_speed.cut(list(range(200)), [9, 14, 8])
    monkeypatch.setattr(packing_speed, "ROW", 32)
    assert packing_speed.gradient_difference(tiny_lm, examples, 257) < 1e-6

    def without_positions(pad_token_id):
        pad = PadExamples(pad_token_id)
        return lambda rows: {name: part for name, part in pad(rows).items() if name != "position_ids"}

    monkeypatch.setattr(packing_speed, "PadExamples", without_positions)
    assert packing_speed.gradient_difference(tiny_lm, examples, 257) > 1e-3


def test_an_untrained_checkpoint_is_its_like_with_other_weights(text_checkpoint, tmp_path):
    like = text_checkpoint("bert")
    for seed in (0, 1):
        checkpoints.save_untrained(like, tmp_path / str(seed), seed=seed)
    made = [load_file(tmp_path / str(seed) / "model.safetensors") for seed in (0, 1)]
    trained = load_file(f"{like}/model.safetensors")
    assert {name: part.shape for name, part in made[0].items()} == {name: part.shape for name, part in trained.items()}
    name = next(name for name in trained if name.endswith("query.weight"))
    assert not torch.equal(made[0][name], made[1][name])
