from hf_strategies.reports.headlines import headlines


def test_a_language_model_shows_loss_bits_speed_and_time_in_this_order():
    results = {
        "train_runtime": 298.2, "train_loss": 3.41, "epoch": 0.3, "train_tokens_per_second": 13652.3,
        "eval_bits_per_byte": 1.2678, "eval_loss": 2.6412, "eval_runtime": 3.0, "eval_samples_per_second": 80.0,
        "eval_steps_per_second": 5.0, "eval_perplexity": 14.03, "eval_nats_per_token": 2.6412, "perplexity": 14.03,
    }  # fmt: skip
    assert headlines(results) == [
        ("evaluation loss", "2.641"),
        ("bits per byte", "1.268"),
        ("tokens per second", "13,652"),
        ("training time", "4 min 58 s"),
    ]


def test_the_scores_of_a_task_come_with_its_loss():
    assert headlines({"eval_accuracy": 0.9312, "eval_loss": 0.2, "eval_macro_f1": 0.9}) == [
        ("evaluation loss", "0.2"),
        ("accuracy", "0.9312"),
        ("macro f1", "0.9"),
    ]


def test_a_run_without_results_has_no_headlines():
    assert headlines({}) == []


def test_pictures_have_no_tokens_and_their_speed_is_in_samples():
    results = {"eval_loss": 0.1, "train_tokens_per_second": 0.0, "train_samples_per_second": 80.0}
    assert headlines(results) == [("evaluation loss", "0.1"), ("samples per second", "80")]
    assert headlines({**results, "train_tokens_per_second": 9.0})[1] == ("tokens per second", "9")
