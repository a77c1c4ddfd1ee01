import copy
import json
import math
from functools import partial

import pytest
import torch
from peft import PeftModel
from transformers import LlamaConfig, LlamaForCausalLM, Trainer

from hf_strategies.adapters.factory import create_adapter
from hf_strategies.callbacks.adalora import SENSITIVITY, AdaLoraCallback, budget_phases
from hf_strategies.errors import UserError
from hf_strategies.training import StrategyTrainer

SIZES = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
LAYERS = 14
TRAINERS = pytest.mark.parametrize("trainer_class", [Trainer, StrategyTrainer])


@pytest.fixture
def base() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=1))


@pytest.fixture
def train(arguments):
    def run(trainer_class=Trainer, *, resume=None, max_steps=20, adapter="adalora", evaluate=False, **timing):
        torch.manual_seed(0)
        model = LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=1))
        ranks = {"target_rank": 2, "initial_rank": 4} if adapter == "adalora" else {}
        model = create_adapter(adapter, model, task_type="CAUSAL_LM", **ranks)
        ids = torch.randint(0, 64, (64, 12), generator=torch.Generator().manual_seed(0))
        rows = [{"input_ids": row, "labels": row} for row in ids]
        args = arguments(
            max_steps=max_steps,
            save_strategy="steps",
            save_steps=5,
            learning_rate=1e-2,
            eval_strategy="steps" if evaluate else "no",
            eval_steps=10,
        )
        callback = AdaLoraCallback(**{"interval": 2, **timing})
        trainer = trainer_class(model, args, train_dataset=rows, eval_dataset=rows[:8], callbacks=[callback])
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    return run


def kept_ranks(model: PeftModel) -> list[int]:
    return [int((param != 0).sum()) for name, param in model.named_parameters() if "lora_E" in name]


def trained_weights(model: PeftModel) -> dict[str, torch.Tensor]:
    return {name: param.detach().clone() for name, param in model.named_parameters() if param.requires_grad}


def test_phases_are_shares_of_the_run():
    assert budget_phases(100, warmup_share=0.1, final_share=0.5) == (10, 50)
    assert budget_phases(7, warmup_share=0.0, final_share=0.5) == (0, 3)
    with pytest.raises(UserError, match="between its warmup of 5 updates and its last 5: the run's 10 leave none"):
        budget_phases(10, warmup_share=0.5, final_share=0.5)


@TRAINERS
def test_the_mean_rank_ends_at_its_target_and_layers_differ(trainer_class, train):
    ranks = kept_ranks(train(trainer_class).model)
    assert len(ranks) == LAYERS
    assert sum(ranks) == 2 * LAYERS
    assert len(set(ranks)) > 1


def test_ranks_are_whole_in_the_warmup_and_do_not_change_once_they_are_settled(train, base):
    trainer = train(warmup_share=0.3)
    ranks = {
        step: kept_ranks(
            PeftModel.from_pretrained(copy.deepcopy(base), f"{trainer.args.output_dir}/checkpoint-{step}")
        )
        for step in (5, 10, 15)
    }
    assert ranks[5] == [4] * LAYERS
    assert ranks[10] == ranks[15] == kept_ranks(trainer.model)


@TRAINERS
@pytest.mark.parametrize("step", [5, 10, 15])  # while ranks are cut, when they are settled, and after
def test_a_resumed_run_is_the_uninterrupted_one(trainer_class, step, train):
    straight = train(trainer_class)
    resumed = train(trainer_class, resume=f"{straight.args.output_dir}/checkpoint-{step}")
    expected = trained_weights(straight.model)
    for name, weight in trained_weights(resumed.model).items():
        assert torch.equal(weight, expected[name]), name


def test_averages_live_in_the_optimizer_until_ranks_are_settled(train):
    trainer = train()
    cutting = torch.load(f"{trainer.args.output_dir}/checkpoint-5/optimizer.pt")["state"].values()
    assert sum(SENSITIVITY in state for state in cutting) == 3 * LAYERS
    assert not any(SENSITIVITY in state for state in trainer.optimizer.state.values())


@pytest.mark.parametrize("objective", [None, "cross_entropy"])
def test_the_penalty_is_trained_with_and_not_evaluated(train, objective):
    trainer = train(partial(StrategyTrainer, objective=objective), evaluate=True)
    history = trainer.state.log_history
    losses = [row["loss"] for row in history if "loss" in row]
    evaluations = [row["eval_loss"] for row in history if "eval_loss" in row]
    assert all(loss > math.log(64) + 0.5 for loss in losses)
    assert evaluations == pytest.approx([math.log(64)] * 2, abs=0.1)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(evaluations[-1], abs=1e-6)


def test_a_skipped_update_counts_for_nothing(train):
    """The step guard takes all gradients away from an update that it does not let pass."""

    class Skip(StrategyTrainer):
        def _get_grad_norm(self, model, grad_norm=None):
            norm = super()._get_grad_norm(model, grad_norm=grad_norm)
            if self.state.global_step == 3:
                model.zero_grad()
            return norm

    assert sum(kept_ranks(train(Skip).model)) == 2 * LAYERS


def test_plain_peft_loads_what_is_saved(train, base, tmp_path):
    trainer = train()
    trainer.save_model(tmp_path / "adapter")
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["rank_pattern"] is None
    ids = torch.arange(12)[None]
    loaded = PeftModel.from_pretrained(base, tmp_path / "adapter")
    with torch.no_grad():
        torch.testing.assert_close(loaded(input_ids=ids).logits, trainer.model.eval()(input_ids=ids).logits)


def test_without_adalora_it_says_that_it_has_nothing_to_do(train, caplog):
    train(adapter="lora", max_steps=1)
    assert "AdaLoraCallback has nothing to do: PeftModelForCausalLM has no AdaLoRA adapter" in caplog.text


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"warmup_share": 1.5}, r"warmup_share of adalora must be a number in \[0, 1\], got 1.5"),
        ({"final_share": -0.1}, "final_share of adalora must be"),
        ({"interval": 0}, "interval of adalora must be a whole number >= 1, got 0"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings, complaint):
    with pytest.raises(UserError, match=complaint):
        AdaLoraCallback(**settings)
