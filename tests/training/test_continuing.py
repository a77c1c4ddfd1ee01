import pytest
from transformers import TrainerCallback, TrainerControl
from transformers.trainer_callback import ExportableState

from hf_strategies.training.continuing import restore_callbacks


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
