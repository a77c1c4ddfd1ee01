"""Advice where the answer is known, on few rows."""

import json

import numpy as np
import pytest
import torch

from hf_strategies.errors import UserError
from hf_strategies.planning.advice import choose_places, growing_sizes, plan_turns
from hf_strategies.planning.advice_request import parse_advice
from hf_strategies.planning.network_training import Training, rate_factor, train
from scripts.advise import main


@pytest.fixture
def advise(tmp_path, monkeypatch, capsys):
    """Give advice; returns its numbers and what was said."""
    monkeypatch.setenv("HF_STRATEGIES_THREADS", "1")

    def run(*flags: str) -> tuple[dict, str]:
        folder = tmp_path / "advice"
        main(["--num_seeds", "1", "--output_dir", str(folder), *flags])
        assert (folder / "advice.png").stat().st_size > 0
        page = (folder / "advice.html").read_text()
        found = json.loads((folder / "advice.json").read_text())
        assert found["advice"][0].replace(";", "") in page.replace(";", "")
        return found, capsys.readouterr().out

    return run


def accuracies(found: dict) -> dict[str, float]:
    return {standing["name"]: standing["accuracy"] for standing in found["contenders"]}


def test_only_who_reads_in_order_solves_what_lies_in_the_order(advise, tmp_path):
    # The class is the sign of the first of two marks; the second has the other sign, so no statistic of a row tells.
    chance = np.random.default_rng(0)
    values, classes = 0.1 * chance.normal(size=(320, 12)), np.arange(320) % 2
    for row, sign in zip(values, 2 * classes - 1):
        first, second = sorted(chance.choice(np.arange(1, 11), 2, replace=False))
        row[first], row[second] = 3 * sign, -3 * sign
    np.savez(tmp_path / "rows.npz", sequences=values, labels=classes)
    found, said = advise(
        "--train_file", str(tmp_path / "rows.npz"), "--budget", "5m", "--contenders", "majority,linear,gru"
    )
    scores = accuracies(found)
    assert found["chosen"] == "gru"
    assert scores["gru"] > 0.9
    assert scores["linear"] < 0.7
    assert found["chances"]["10"]["gru"] > 0.9
    assert "advice    train gru: " in said
    assert "no other is as good" in said


def test_a_bag_of_words_needs_no_network(advise, tmp_path):
    chance = np.random.default_rng(0)
    words = [f"word{number}" for number in range(60)]
    rows = []
    for number in range(240):
        told = ["sunny", "mild"] if number % 2 else ["rainy", "cold"]
        text = [*chance.choice(words, 8), *told]
        rows.append({"text": " ".join(chance.permutation(text)), "label": "fair" if number % 2 else "foul"})
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found, said = advise("--train_file", str(path), "--budget", "8s", "--vocab_size", "400")
    assert found["chosen"] == "linear"
    assert accuracies(found)["linear"] > 0.95
    assert {standing["name"] for standing in found["contenders"]} == {"majority", "linear", "lstm", "transformer"}
    assert "a transformer is not needed" in said or "do not train a transformer" in said


def test_digits_are_read_by_all_but_the_commonest_class(advise):
    found, _ = advise(
        "--task", "image-classification", "--max_train_samples", "320", "--max_eval_samples", "150", "--budget", "12s"
    )
    scores = accuracies(found)
    assert scores["majority"] < 0.25
    assert scores["linear"] > 0.85
    assert scores["convolution"] > 0.85
    assert found["chosen"] in ("linear", "convolution")
    sizes = found["contenders"][0]["sizes"]
    assert sizes == [80, 160, 320]  # an eighth would be four of each class


def test_questions_and_news_want_a_regression_while_they_are_few(advise, real_data, tmp_path):
    questions = tmp_path / "trec.txt"
    questions.write_text(
        real_data("text_classification/TREC.train.all").read_text(encoding="latin1"), encoding="utf-8"
    )
    found, _ = advise(
        "--train_file", str(questions), "--max_train_samples", "800", "--max_eval_samples", "300", "--budget", "10s",
        "--contenders", "majority,linear,lstm",
    )  # fmt: skip
    scores = accuracies(found)
    assert found["chosen"] == "linear"
    assert scores["linear"] > 0.65 > 0.4 > scores["majority"]


def test_clips_whose_direction_tells_are_read_by_frames(advise, tmp_path):
    clips = np.random.default_rng(0).integers(0, 40, size=(120, 1, 5, 6, 6)).astype(np.uint8)
    classes = np.arange(120) % 2
    for clip, forward in zip(clips, classes):
        for frame, column in enumerate(range(5) if forward else reversed(range(5))):
            clip[0, frame, :, column] = 255
    np.savez(tmp_path / "clips.npz", clips=clips, labels=classes)
    found, _ = advise(
        "--train_file", str(tmp_path / "clips.npz"), "--budget", "2m", "--contenders", "linear,gru",
        "--max_eval_samples", "40",
    )  # fmt: skip
    assert found["chosen"] == "gru"
    assert accuracies(found)["gru"] > 0.9


def test_rows_of_one_class_are_refused(tmp_path, capsys):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f"line {number},same\n" for number in range(20)))
    with pytest.raises(SystemExit) as ended:
        main(["--train_file", str(path), "--output_dir", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert "labels: expected two or more to learn from, got only 'same'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_shares_grow_by_doubling_and_hold_each_other():
    assert growing_sizes(800, 4) == [100, 200, 400, 800]
    assert growing_sizes(200, 10) == [100, 200]
    small, large = choose_places(100, 20, 3), choose_places(100, 60, 3)
    assert large[:20] == small
    assert choose_places(100, 20, 4) != small


def test_every_contender_has_had_all_the_data_before_a_second_seed():
    request = parse_advice(["--train_file", "rows.csv", "--num_seeds", "2"])
    turns = plan_turns(request, 800, 2)
    assert [turn.name for turn in turns[:4]] == ["majority", "linear", "lstm", "transformer"]
    assert {(turn.size, turn.seed) for turn in turns[:4]} == {(800, 0)}
    assert {turn.seed for turn in turns[:16]} == {0}
    assert len(turns) == 2 * 4 * 4


def test_the_rate_rises_and_falls_to_zero():
    assert rate_factor(0.0) > 0
    assert rate_factor(0.05) == pytest.approx(0.51)
    assert rate_factor(0.55) == pytest.approx(0.5)
    assert rate_factor(1.0) == 0.0


def test_training_ends_with_its_time_and_is_the_same_where_it_has_enough():
    inputs = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    classes = (inputs[:, 0] > 0).long().numpy()
    training = Training(rate=1e-2, weight_decay=0.0, batch_size=16, epochs=1, device=torch.device("cpu"))

    def learn(seconds: float) -> tuple[bool, torch.Tensor]:
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 2)
        whole = train(
            model, lambda asked: {"input": inputs[asked]}, classes, list(range(64)), training, seed=1, seconds=seconds
        )
        return whole, model.weight.detach()

    whole, weight = learn(1000.0)
    assert whole
    assert float(weight[1, 0] - weight[0, 0]) > 1.0  # 300 updates, though an epoch has four
    again, same = learn(1000.0)
    assert torch.allclose(weight, same, rtol=1e-3, atol=1e-3)  # but for a rate that the clock may hasten a little
    cut, _ = learn(1e-9)
    assert again
    assert not cut


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    from hf_strategies.planning.advice import open_advice_folder

    (tmp_path / "kept.txt").write_text("kept")
    with pytest.raises(UserError, match="is not empty"):
        open_advice_folder(parse_advice(["--train_file", "rows.csv", "--output_dir", str(tmp_path)]))
