import re

import pytest
from transformers import TrainerControl, TrainerState

from hf_strategies.planning.speed_trial import Stopwatch, Trial, describe_trial
from scripts.plan import main


def test_a_run_takes_its_updates_times_the_time_of_one():
    said = describe_trial(Trial(seconds=0.5, tokens=2048, updates=36_000, what="cpu, float32"), price_per_hour=2.0)
    assert said.splitlines() == [
        "device    cpu, float32",
        "trial     0.5 s an update of 2,048 tokens: 4,096 tokens per second",
        "run       36,000 updates, 73.7 M tokens: 5 h 00 min, evaluations and checkpoints left out",
        "cost      10.00 at 2 per hour",
    ]


def test_training_stops_when_enough_was_timed(arguments):
    watch, control, args = Stopwatch(num_warm=1, num_timed=2), TrainerControl(), arguments()
    stopped = []
    for step in range(4):
        watch.on_step_begin(args, TrainerState(global_step=step), control)
        watch.on_step_end(args, TrainerState(global_step=step + 1), control)
        stopped.append(control.should_training_stop)
    assert stopped == [False, False, True, True]
    assert 0 < watch.began < watch.ended


def test_the_beginning_of_a_recipe_is_timed_and_thrown_away(tmp_path, capsys, monkeypatch):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("".join(f"a few words of text, number {n}, again and again.\n\n" for n in range(400)))
    monkeypatch.chdir(tmp_path)
    tiny = ["--hidden_size", "32", "--num_hidden_layers", "1", "--tokenizer", "bytes", "--max_seq_length", "32"]
    tiny += ["--global_batch_size", "4", "--max_steps", "500", "--train_file", str(corpus)]
    main(["time", *tiny, "--updates", "2", "--warm_updates", "1"])
    said = capsys.readouterr().out
    assert re.search(r"^trial     [\d.]+ s an update of 128 tokens: [\d,]+ tokens per second$", said, re.MULTILINE)
    assert "run       500 updates, 64.0 k tokens: " in said
    assert "cost" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.txt"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--updates", "0"], "--updates: expected at least 1, got 0"),
        (["--warm_updates", "-1"], "--warm_updates: expected at least 0, got -1"),
        (["--price_per_hour", "0"], "--price_per_hour: expected a number above 0, got 0"),
        (["--do_eval"], "the run only evaluates: there is no training to time"),
        (["--max_stps", "3"], "did you mean 'max_steps'?"),
    ],
)
def test_a_mistake_is_one_line(words, complaint, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["time", *words])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line
