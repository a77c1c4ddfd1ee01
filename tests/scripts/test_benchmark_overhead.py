from scripts.benchmarks.overhead import run
from scripts.benchmarks.timing.trainer_overhead import Meter, metered_trainer


def test_every_part_of_our_trainer_is_metered():
    outer = vars(metered_trainer(Meter()).__mro__[1])
    assert {"create_scheduler", "training_step", "_get_grad_norm", "log", "_save_checkpoint"} <= outer.keys()


def test_only_our_code_takes_time_of_ours():
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "sequence_length": 8, "rows_per_step": 2}
    plain, ours = run(num_steps=2, num_warmup_steps=1, num_pairs=1, **sizes)
    assert plain["ours_ms"] == 0
    assert 0 < ours["ours_ms"] < ours["step_ms"]
