import json

import pytest
from transformers import TrainerCallback, TrainerControl
from transformers.trainer_callback import ExportableState

from hf_strategies.errors import UserError
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.continuing import load_sums, restore_callbacks


class Counter(TrainerCallback, ExportableState):
    def __init__(self, updates=0):
        self.updates = updates


def state(updates):
    return {"args": {}, "attributes": {"updates": updates}}


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ([state(0), state(100), state(14), state(114)], [14, 114]),  # the host adds the states again at each save
        ([state(14), state(114)], [14, 114]),
        (state(14), [14, -1]),
    ],
)
def test_several_callbacks_of_one_class_get_back_what_was_saved_last(stored, expected):
    callbacks = [Counter(-1), TrainerControl(), Counter(-1)]
    restore_callbacks(callbacks, {"Counter": stored, "TrainerControl": {"attributes": {"should_log": True}}})
    assert [callback.updates for callback in callbacks[::2]] == expected
    assert not callbacks[1].should_log


def test_a_callback_that_the_checkpoint_does_not_know_stays_as_it_is():
    counter = Counter(3)
    restore_callbacks([counter], {})
    assert counter.updates == 3


def write(folder, rank, since_log, ranks):
    sums = {"since_log": since_log, "logged": 7.0, "last_log": 4, "ranks": ranks}
    (folder / f"loss_since_log{rank}.json").write_text(json.dumps(sums))


def test_a_rank_takes_up_its_own_loss_where_there_are_as_many(tmp_path):
    write(tmp_path, "_0", 1.0, 2)
    write(tmp_path, "_1", 2.0, 2)
    assert load_sums(tmp_path / "loss_since_log_1.json", 2)["since_log"] == 2.0


@pytest.mark.parametrize(("rank", "ranks"), [("", 1), ("_0", 3), ("_2", 3), ("_1", 4)])
def test_ranks_that_were_more_or_less_before_take_up_their_mean(tmp_path, rank, ranks):
    write(tmp_path, "_0", 1.0, 2)
    write(tmp_path, "_1", 2.0, 2)
    sums = load_sums(tmp_path / f"loss_since_log{rank}.json", ranks)
    assert (sums["since_log"], sums["logged"], sums["last_log"]) == (1.5, 7.0, 4.0)


def test_a_checkpoint_of_a_plain_trainer_remembers_nothing(tmp_path):
    assert load_sums(tmp_path / "loss_since_log.json", 1) is None


@pytest.mark.parametrize("damage", ["", '{"since_log": 1', "[]", '{"since_log": 1.0}', '{"since_log": null}'])
def test_a_damaged_memory_of_the_loss_is_refused_in_a_line(tmp_path, damage):
    file = tmp_path / "loss_since_log.json"
    file.write_text(damage)
    with pytest.raises(UserError, match=r"loss_since_log.json: damaged \(.*\): resume from an earlier checkpoint"):
        load_sums(file, 1)


def test_a_log_that_more_ranks_began_has_the_loss_of_the_uninterrupted_run(
    build_lm, arguments, numbered_rows, tmp_path
):
    def logged(**resume):
        trainer = StrategyTrainer(build_lm(), arguments(logging_steps=8), train_dataset=numbered_rows)
        trainer.train(**resume)
        return trainer.state.log_history[0]["loss"]

    whole, checkpoint = logged(), tmp_path / "out" / "checkpoint-5"
    (checkpoint / "manifest.json").unlink()  # of files that are replaced here
    own = checkpoint / "loss_since_log.json"
    since_log = json.loads(own.read_text())["since_log"]
    own.unlink()
    for rank, share in enumerate((0.5, 1.5)):
        sums = {"since_log": since_log * share, "logged": 0.0, "last_log": 0, "ranks": 2}
        (checkpoint / f"loss_since_log_{rank}.json").write_text(json.dumps(sums))
    assert logged(resume_from_checkpoint=str(checkpoint)) == pytest.approx(whole, rel=1e-6)
