from transformers import PrinterCallback, Trainer, TrainerControl, TrainerState

from hf_strategies.callbacks.console import ConsoleCallback, format_row

LOGGED = {"loss": 4.84012, "grad_norm": 1.234, "learning_rate": 3e-3, "epoch": 0.5, "tokens_per_second": 12345.0}
PLACE = {"step": 120, "max_steps": 300, "elapsed": 62.0, "remaining": 93.0, "width": 119}


def test_a_row_by_hand():
    assert format_row(LOGGED, **PLACE) == (
        "120/300  40%  1:02 <1:33       loss  4.8401  lr 3.00e-03  grad   1.23  12.3 k tok/s"
    )


def test_rows_stand_under_each_other():
    first = {**LOGGED, "loss": 11.2, "grad_norm": 123.4, "learning_rate": 1e-5, "tokens_per_second": 950.0}
    rows = [format_row(first, **{**PLACE, "step": 1, "remaining": 36000.0}), format_row(LOGGED, **PLACE)]
    for column in ("loss", "lr ", "grad", "tok/s"):
        assert len({row.index(column) for row in rows}) == 1


def test_what_has_no_place_follows_by_name():
    row = format_row({"eval_loss": 2.0, "zeta": 1.5, "alpha": 0.25, "eval_runtime": 3.0, "epoch": 1.0}, **PLACE)
    assert row.endswith("eval_loss  2.0000  alpha 0.25  zeta 1.5")


def test_a_narrow_terminal_loses_the_last_cells_and_never_wraps():
    row = format_row(LOGGED, **{**PLACE, "width": 45})
    assert row == "120/300  40%  1:02 <1:33       loss  4.8401"


def test_without_training_a_row_has_no_progress():
    place = {"step": 0, "max_steps": 0, "elapsed": 62.0, "remaining": None, "width": 119}
    assert format_row({"eval_loss": 2.0, "eval_runtime": 3.0}, **place) == "eval_loss  2.0000"


def test_an_evaluation_before_training_counts_its_time_from_the_callbacks_birth(arguments, capsys):
    callback, args, state = ConsoleCallback(), arguments(), TrainerState(max_steps=4)
    callback.on_log(args, state, TrainerControl(), logs={"eval_loss": 2.0})
    assert capsys.readouterr().out.split()[:3] == ["0/4", "0%", "0:00"]


def test_an_evaluation_alone_is_one_plain_row(tiny_lm, token_rows, arguments, capsys):
    trainer = Trainer(tiny_lm, arguments(), eval_dataset=token_rows[:4], callbacks=[ConsoleCallback()])
    trainer.remove_callback(PrinterCallback)
    trainer.evaluate()
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "eval_loss" in line]
    assert row.startswith("eval_loss")


def test_prints_one_row_per_log_and_leaves_the_summary_to_others(tiny_lm, token_rows, arguments, capsys):
    args = arguments(logging_steps=2, eval_strategy="steps", eval_steps=4)
    trainer = Trainer(
        tiny_lm, args, train_dataset=token_rows, eval_dataset=token_rows[:4], callbacks=[ConsoleCallback()]
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    rows = [line for line in capsys.readouterr().out.splitlines() if "%" in line]  # libraries greet us too
    assert [row[:9] for row in rows] == ["2/4  50% ", "4/4 100% ", "4/4 100% "]
    assert ["loss" in row.split() for row in rows] == [True, True, False]
    assert "eval_loss" in rows[2]
    assert "<0:00" in rows[1]  # nothing remains at the end
