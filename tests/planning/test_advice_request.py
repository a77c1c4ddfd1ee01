import numpy as np
import pytest

from hf_strategies.errors import UserError
from hf_strategies.planning.advice_request import guess_kind, is_transformer, parse_advice, read_time
from hf_strategies.planning.contenders import contenders_of


def test_a_budget_is_a_time():
    assert [read_time(text) for text in ("90s", "10m", "1.5h", "600")] == [90, 600, 5400, 600]


def test_the_kind_of_data_is_seen_by_the_file(tmp_path):
    np.savez(tmp_path / "a.npz", sequences=np.zeros((2, 3)), labels=np.arange(2))
    np.savez(tmp_path / "b.npz", clips=np.zeros((2, 1, 1, 1, 1)), labels=np.arange(2))
    assert guess_kind([str(tmp_path / "a.npz")]) == "sequence"
    assert guess_kind([str(tmp_path / "b.npz")]) == "clip"
    assert guess_kind([str(tmp_path)]) == "image"
    assert guess_kind(["rows.csv"]) == "text"


def test_every_kind_has_a_floor_a_line_a_network_and_a_transformer():
    for kind, network in {"text": "lstm", "image": "convolution", "clip": "resnet3d", "sequence": "gru"}.items():
        names = contenders_of(kind)
        assert names[:2] == ["majority", "linear"]
        assert network in names
        assert next(name for name in names if is_transformer(name)) == "transformer"


def test_a_checkpoint_contends_where_one_is_named():
    flags = ["--train_file", "rows.csv"]
    assert "checkpoint" not in parse_advice(flags).contenders
    request = parse_advice([*flags, "--model_name_or_path", "bert-base-cased", "--text_column", "question"])
    assert request.contenders[-1] == "checkpoint"
    job = request.job("small_data", "--model_name_or_path=bert-base-cased")
    assert (job.data.text_column, job.model.model_name_or_path) == ("question", "bert-base-cased")


def test_the_users_flags_stand_above_a_contenders():
    request = parse_advice(["--train_file", "rows.csv", "--learning_rate", "5e-4"])
    assert request.job("text_from_scratch", "--learning_rate=1e-3").training["learning_rate"] == 5e-4


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "train_file: expected a labelled file"),
        (
            ["--train_file", "a.csv", "--budget", "0"],
            "--budget: expected a time above 0, such as 90s, 10m or 2h, got '0'",
        ),
        (["--train_file", "a.csv", "--budget", "soon"], "got 'soon'"),
        (["--train_file", "a.csv", "--num_seeds", "0"], "--num_seeds: expected at least 1, got 0"),
        (["--train_file", "a.csv", "--contenders", "lstn"], "did you mean 'lstm'"),
        (["--train_file", "a.csv", "--contenders", "lstm"], "expected two or more to choose from, got lstm"),
        (["--train_file", "a.csv", "--contenders", "resnet3d"], "'resnet3d' is none of majority, linear"),
        (["--train_file", "a.csv", "--seed", "1"], "see --num_seeds"),
        (["--train_file", "a.csv", "--task", "seq2seq"], "expected one of text-classification"),
        (["--train_file", "a.csv", "--text_colum", "x"], "did you mean 'text_column'"),
        (["a.csv"], "name data with --train_file"),
    ],
)
def test_mistakes_are_told(argv, said):
    with pytest.raises(UserError) as refused:
        parse_advice(argv)
    assert said in str(refused.value)
