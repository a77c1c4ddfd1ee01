import json

import pytest

from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.errors import UserError
from hf_strategies.reports.events import read_events
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.feed.broken_samples import BrokenSamples
from hf_strategies.training.feed.sample_feed import BrokenSample


def broken(index, position=0, epoch=0):
    return BrokenSample(index, "ValueError: no", epoch, position, 1)


def listed(path):
    return [json.loads(line)["index"] for line in path.read_text().splitlines()]


def test_each_is_listed_once(tmp_path):
    samples = BrokenSamples(tmp_path / "list", 1.0, 100)
    assert samples.draw(8, [broken(3), broken(4)]) == [broken(3), broken(4)]
    assert samples.draw(8, [broken(4, epoch=1), broken(5)]) == [broken(5)]
    assert listed(tmp_path / "list") == [3, 4, 5]


@pytest.mark.parametrize(("size", "drawn"), [(100, 100), (5000, 1000)])
def test_the_share_is_judged_once_enough_was_drawn(tmp_path, size, drawn):
    samples = BrokenSamples(tmp_path / "list", 0.01, size)
    found = [broken(index) for index in range(drawn // 100 + 1)]
    samples.draw(drawn - 1, found)
    with pytest.raises(
        UserError, match=rf"{len(found)} of {drawn:,} .* share of 0.01 .* the first is sample 0: Value"
    ):
        samples.draw(1, [])


def test_the_share_itself_is_allowed_and_further_epochs_add_nothing(tmp_path):
    samples = BrokenSamples(tmp_path / "list", 0.01, 100)
    for epoch in range(3):
        samples.draw(100, [broken(7, epoch=epoch)])


def test_going_back_forgets_what_comes_after_the_place(tmp_path):
    path = tmp_path / "list"
    first = BrokenSamples(path, 1.0, 100)
    first.draw(300, [broken(1, 10), broken(2, 99), broken(3, 5, epoch=1), broken(4, 6, epoch=1)])
    follower, leader = BrokenSamples(path, 1.0, 100), BrokenSamples(path, 1.0, 100)
    follower.go_back(1, 6, rewrite=False)
    assert listed(path) == [1, 2, 3, 4]
    leader.go_back(1, 6, rewrite=True)
    assert listed(path) == list(leader.known) == list(follower.known) == [1, 2, 3]
    assert leader.num_drawn == 106
    leader.go_back(0, 0, rewrite=True)
    assert not path.exists()


def test_an_unfinished_last_line_is_forgotten(tmp_path):
    path = tmp_path / "list"
    BrokenSamples(path, 1.0, 100).draw(100, [broken(1, 10)])
    path.write_text(path.read_text() + '{"index": 2, "rea')
    samples = BrokenSamples(path, 1.0, 100)
    samples.go_back(1, 0, rewrite=True)
    assert listed(path) == list(samples.known) == [1]


@pytest.mark.parametrize("damage", ["\0" * 40, "[]", '{"index": 2}', '{"index": 2, "epoch": "', "\udcff"])
def test_a_damaged_line_is_forgotten_and_the_others_stay(tmp_path, damage):
    path = tmp_path / "list"
    BrokenSamples(path, 1.0, 100).draw(100, [broken(1, 10), broken(2, 20), broken(3, 30)])
    first, _, third = path.read_text().splitlines()
    path.write_bytes("\n".join([first, damage, third, ""]).encode(errors="surrogateescape"))
    samples = BrokenSamples(path, 1.0, 100)
    samples.go_back(1, 0, rewrite=True)
    assert listed(path) == list(samples.known) == [1, 3]


def test_a_full_disk_costs_a_line_and_no_run(tmp_path, no_file_above, capsys):
    samples = BrokenSamples(tmp_path / "list", 1.0, 100)
    with no_file_above(10):
        assert samples.draw(8, [broken(3)]) == [broken(3)]
    assert f"{tmp_path}/list does not list it: " in capsys.readouterr().out
    samples.draw(8, [broken(4)])
    samples.draw(8, [broken(5)])
    samples.go_back(1, 0, rewrite=True)
    assert listed(tmp_path / "list") == [5]  # the fourth follows what was written of the third


class Rows:
    """Rows of which some cannot be loaded."""

    def __init__(self, rows, broken):
        self.rows, self.broken = rows, broken

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        if index in self.broken:
            raise ValueError(f"row {index} is no text")
        return self.rows[index]


@pytest.fixture
def train(build_lm, numbered_rows, arguments, tmp_path):
    def run(broken, *, resume=None, share=0.2, **changes):
        events = EventLogCallback(tmp_path / "out" / "events.jsonl")
        trainer = StrategyTrainer(
            build_lm(),
            arguments(**changes),
            train_dataset=Rows(numbered_rows, broken),
            max_broken_share=share,
            callbacks=[events],
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    return run


@pytest.mark.parametrize("workers", [0, 2])
def test_training_goes_on_without_them_lists_them_and_keeps_its_order(train, tmp_path, capsys, workers):
    healthy = train([], save_strategy="no").model.seen
    trainer = train([3, 17], dataloader_num_workers=workers)
    lines = [json.loads(line) for line in (tmp_path / "out" / "broken_samples.jsonl").read_text().splitlines()]
    assert {line["index"]: line["reason"] for line in lines} == {
        3: "ValueError: row 3 is no text",
        17: "ValueError: row 17 is no text",
    }
    assert [one if one in (3, 17) else other for one, other in zip(healthy, trainer.model.seen)] == healthy
    assert not {3, 17} & set(trainer.model.seen)
    events = [event for event in read_events(tmp_path / "out" / "events.jsonl") if event["event"] == "broken"]
    assert [(event["index"], event["step"]) for event in events] == [
        (line["index"], line["position"] // 8 + 1) for line in lines
    ]
    assert capsys.readouterr().out.count("is broken and was replaced: ValueError: row") == 2


def test_a_resumed_run_lists_the_same(train, tmp_path):
    files = [tmp_path / "out" / name for name in ("broken_samples.jsonl", "events.jsonl")]
    straight = train([3, 17]).model.seen
    (listed, events) = (file.read_text() for file in files)
    for step in (1, 2, 5):
        resumed = train([3, 17], resume=f"{tmp_path}/out/checkpoint-{step}")
        assert resumed.model.seen == straight[8 * step :]
        assert files[0].read_text() == listed
        kinds = [(event["event"], event["step"]) for event in read_events(files[1]) if event["event"] != "run"]
        assert kinds == [(e["event"], e["step"]) for e in map(json.loads, events.splitlines()) if e["event"] != "run"]


def test_too_many_end_training_within_the_first_epoch(train):
    with pytest.raises(UserError, match=r"3 of 24 training samples are broken, .* share of 0.1 .* row \d+ is no text"):
        train([3, 4, 17], share=0.1, save_strategy="no")


def test_a_share_that_is_none_is_refused(train):
    with pytest.raises(UserError, match=r"max_broken_share must be a number in \[0, 1\], got 2"):
        train([], share=2)


def test_the_samples_of_the_current_update_are_known(build_lm, numbered_rows, arguments):
    noted = []

    class Noting(StrategyTrainer):
        def training_step(self, *args, **kwargs):
            noted.append(self.current_samples())
            return super().training_step(*args, **kwargs)

    trainer = Noting(build_lm(), arguments(save_strategy="no", max_steps=4), train_dataset=Rows(numbered_rows, []))
    trainer.train()
    assert noted[::2] == noted[1::2] == [trainer.model.seen[8 * n : 8 * n + 8] for n in range(4)]


def test_a_rank_takes_up_its_own_list_and_leaves_the_others(tmp_path):
    path = tmp_path / "list"
    ranks = [BrokenSamples(path, 1.0, 100, rank=rank, world_size=2) for rank in range(2)]
    ranks[0].draw(50, [broken(1, 10), broken(2, 70)])
    ranks[1].draw(50, [broken(1, 12), broken(3, 13)])
    for rank in ranks:
        rank.go_back(0, 40, rewrite=rank.rank == 0)
    assert [list(rank.known) for rank in ranks] == [[1], [1, 3]]
    assert [rank.num_drawn for rank in ranks] == [20, 20]
    assert listed(path) == [1, 1, 3]
