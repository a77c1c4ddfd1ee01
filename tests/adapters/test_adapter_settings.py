import pytest

from hf_strategies.adapters import ADAPTERS, adapter_learning_rate, check_adapter_settings
from hf_strategies.errors import UserError


@pytest.mark.parametrize(
    ("name", "settings", "complaint"),
    [
        ("lroa", {}, "unknown adapter 'lroa', did you mean 'lora'"),
        (
            "lora",
            {"rnak": 8},
            r"adapter 'lora' has no setting 'rnak', did you mean 'rank'\? \(known: rank, alpha, dropout",
        ),
        ("ia3", {"rank": 8}, r"adapter 'ia3' has no setting 'rank' \(known: none\)"),
        ("lora", {"rank": 0}, "rank of adapter 'lora' must be a whole number >= 1, got 0"),
        ("lora", {"rank": True}, "rank of adapter 'lora' must be a whole number >= 1, got True"),
        ("dora", {"dropout": 1.0}, r"dropout of adapter 'dora' must be a number in \[0, 1\), got 1.0"),
        ("rslora", {"alpha": 0}, "alpha of adapter 'rslora' must be a number above 0, got 0"),
        ("prompt_tuning", {"num_virtual_tokens": 2.5}, "num_virtual_tokens .* must be a whole number >= 1, got 2.5"),
        ("adalora", {"orthogonality": -1}, "orthogonality of adapter 'adalora' must be a finite number >= 0, got -1"),
    ],
    ids=str,
)
def test_a_mistake_is_refused_with_what_was_expected(name, settings, complaint):
    with pytest.raises(UserError, match=complaint):
        check_adapter_settings(name, settings)


def test_low_rank_wants_ten_times_the_rate_and_says_so():
    rate, sentence = adapter_learning_rate(2e-5, "lora")
    assert rate == pytest.approx(2e-4)
    assert sentence.startswith("lora trains at 10x the rate of full fine-tuning, 0.0002 (LoRA Without Regret")


def test_loraplus_gives_b_the_rate_of_lora_and_a_a_sixteenth_of_it():
    ratio = ADAPTERS["loraplus"].facts["param_groups"]["lora_plus_ratio"]
    assert ratio == 16.0
    assert ratio * adapter_learning_rate(2e-5, "loraplus")[0] == pytest.approx(adapter_learning_rate(2e-5, "lora")[0])


def test_other_rates_do_not_follow_from_that_of_full_fine_tuning():
    assert adapter_learning_rate(1e-5, "ia3") == adapter_learning_rate(1e-3, "ia3")
    assert "whatever the rate of full fine-tuning" in adapter_learning_rate(1e-5, "ia3")[1]


@pytest.mark.parametrize("rate", [0, -1e-4, float("nan"), "fast"])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(UserError, match="the rate of full fine-tuning must be a number above 0, got"):
        adapter_learning_rate(rate, "lora")
