import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.tuning_topics import FINETUNE
from hf_strategies.callbacks.adalora import AdaLoraCallback
from hf_strategies.callbacks.early_stopping import EarlyStoppingCallback
from hf_strategies.callbacks.overfitting import OverfittingCallback
from hf_strategies.callbacks.weight_averaging import WeightAveragingCallback
from hf_strategies.errors import UserError
from hf_strategies.runs.process import build_training_arguments
from hf_strategies.runs.tuned_trainer import choose_objective, tuning_callbacks
from hf_strategies.tasks import TASKS
from hf_strategies.tasks.task import TaskSettings

LABELS = {
    "single": ["a", "a", "a", "b"],
    "multi": [["a"], ["a", "b"], [], ["b"]],
    "regression": [0.5, 1.0, 2.5, 3.0],
}


def asked(*words: str, task: str = "text-classification"):
    argv = ["full", "--task", task, *words]
    return parse_arguments(argv, description="", default_recipe="finetune", job=FINETUNE)


def chosen(kind: str, *words: str):
    task = TASKS["text-classification"].build(TaskSettings())
    rows = [{"text": f"text {number}", "label": label} for number, label in enumerate(LABELS[kind])]
    task.settle(rows, rows, ())
    return choose_objective(asked(*words), task, task.classes(rows))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("single", "cross_entropy"), ("multi", "binary_cross_entropy"), ("regression", "mean_squared_error")],
)
def test_the_objective_follows_from_the_labels(kind, name):
    assert chosen(kind)["objective"] == name
    assert chosen(kind)["objective_kwargs"] == {}


def test_a_loss_that_is_named_takes_its_place():
    found = chosen("single", "--loss", "focal", "--loss_kwargs", "gamma=1.0")
    assert (found["objective"], found["objective_kwargs"]) == ("focal", {"gamma": 1.0})


@pytest.mark.parametrize(
    ("kind", "loss", "said"),
    [
        ("regression", "focal", "is for labels of one class each, and there are numbers as labels: take mean_sq"),
        ("regression", "binary_cross_entropy", "is for lists of labels, and there are numbers as labels: take mean_s"),
        ("single", "mean_squared_error", "is for numbers as labels, and there are labels of one class each: take cr"),
        ("single", "binary_cross_entropy", "is for lists of labels, and there are labels of one class each: take cr"),
        (
            "multi",
            "cross_entropy",
            "is for labels of one class each, and there are lists of labels: take binary_cr",
        ),
    ],
)
def test_a_loss_for_labels_of_another_kind_is_refused(kind, loss, said):
    with pytest.raises(UserError, match=f"^--loss: loss {loss} {said}"):
        chosen(kind, "--loss", loss)


def test_a_loss_of_numbers_is_none_of_tokens():
    task = TASKS["causal-lm"].build(TaskSettings())
    with pytest.raises(
        UserError,
        match="loss huber is for numbers as labels, and there are labels of one class each: take",
    ):
        choose_objective(asked("--loss", "huber", task="causal-lm"), task, None)


def test_rare_classes_weigh_more():
    weights = chosen("single", "--class_weights", "balanced")["objective_kwargs"]["class_weights"]
    assert list(weights) == pytest.approx([2 / 3, 2.0])  # 4 rows / (2 classes x 3 and 1 rows)


def test_classes_are_drawn_in_turn_or_by_a_temperature():
    assert chosen("single", "--balanced_sampling", "in_turn")["balance"].temperature is None
    assert chosen("single", "--balanced_sampling", "2")["balance"].temperature == 2.0
    assert "balance" not in chosen("single")


@pytest.mark.parametrize("flags", [["--class_weights", "balanced"], ["--balanced_sampling", "in_turn"]])
@pytest.mark.parametrize("kind", ["multi", "regression"])
def test_weights_and_balance_need_one_class_per_row(kind, flags):
    with pytest.raises(UserError, match="need one class per row"):
        chosen(kind, *flags)


def kinds(folder, *words: str) -> set[type]:
    return {type(callback) for callback in tuning_callbacks(asked(*words), folder)}


def test_every_run_watches_for_overfitting_and_others_what_they_ask_for(tmp_path):
    usual = kinds(tmp_path)
    assert OverfittingCallback in usual
    assert not usual & {EarlyStoppingCallback, WeightAveragingCallback, AdaLoraCallback}
    assert kinds(tmp_path, "--early_stopping_patience", "3") - usual == {EarlyStoppingCallback}
    assert kinds(tmp_path, "--averaging", "ema") - usual == {WeightAveragingCallback}
    assert kinds(tmp_path, "--adapter", "adalora") - usual == {AdaLoraCallback}
    assert kinds(tmp_path, "--adapter", "lora") == usual


def arguments_of_the_host(*words: str, metric: str = "accuracy", greater: bool = True, **options):
    found = asked("--output_dir", "unused", "--use_cpu", *words)
    return build_training_arguments(found, max_seq_length=8, metric=metric, greater_is_better=greater, **options)


def test_the_best_checkpoint_is_chosen_by_the_tasks_metric_after_each_epoch():
    args = arguments_of_the_host()
    assert (args.eval_strategy, args.save_strategy) == ("epoch", "epoch")
    assert (args.metric_for_best_model, args.greater_is_better) == ("accuracy", True)


@pytest.mark.parametrize(
    ("metric", "greater"),
    [("loss", False), ("eval_loss", False), ("f1_macro", True), ("mean_squared_error", False), ("perplexity", False)],
)
def test_what_is_better_follows_from_the_metric_that_is_named(metric, greater):
    assert arguments_of_the_host("--metric_for_best_model", metric).greater_is_better is greater


def test_a_user_knows_better():
    args = arguments_of_the_host("--metric_for_best_model", "loss", "--greater_is_better", "true")
    assert args.greater_is_better is True


def test_evaluations_of_texts_let_the_model_write_as_much_as_a_target_may_have():
    args = arguments_of_the_host(metric="chrf", generated_tokens=12)
    assert (args.predict_with_generate, args.generation_max_length) == (True, 13)
