import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, ViTConfig, ViTForImageClassification

from hf_strategies.errors import UserError
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.guard import GuardOptions

IMAGES = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))
ROWS = [{"pixel_values": image, "labels": torch.tensor(number % 3)} for number, image in enumerate(IMAGES)]


def vit(*, seed=0, **changes):
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, **changes}
    data = {"image_size": 8, "patch_size": 4, "num_channels": 1, "num_labels": 3}
    return ViTForImageClassification(ViTConfig(**data, **sizes, hidden_dropout_prob=0.1))


@pytest.fixture
def train(arguments):
    def run(model=None, *, resume=None, trainer=StrategyTrainer, **changes):
        settings = {"save_strategy": "steps", "save_steps": 3, "max_steps": 9, "learning_rate": 1e-2, **changes}
        trainer = trainer(
            model or vit(), arguments(**settings), train_dataset=ROWS, eval_dataset=ROWS[:6], guard=GuardOptions()
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    return run


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_the_host_saves_a_vit_under_other_names_than_the_models(tmp_path):
    model = vit()
    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as stored:
        assert len(set(stored.keys()) - set(model.state_dict())) == 32  # all of both blocks: what this file is about


@pytest.mark.parametrize("shard", ["5GB", "10KB"], ids=["one file", "shards"])
def test_a_vit_that_was_interrupted_ends_as_if_it_had_not_been(train, tmp_path, shard):
    straight = train()
    checkpoint = tmp_path / "out" / "checkpoint-3"
    if shard == "10KB":
        ViTForImageClassification.from_pretrained(checkpoint).save_pretrained(checkpoint, max_shard_size=shard)
        (checkpoint / "model.safetensors").unlink()
        assert len(list(checkpoint.glob("model-*.safetensors"))) > 1
        (checkpoint / "manifest.json").unlink()
    resumed = train(vit(seed=1), resume=str(checkpoint))
    assert resumed.state.global_step == 9
    assert_same(weights(resumed.model), weights(straight.model))


def test_the_best_weights_of_a_vit_are_all_loaded(train, tmp_path):
    class Scored(StrategyTrainer):
        def evaluate(self, *args, **kwargs):
            metrics = super().evaluate(*args, **kwargs)
            at_step[self.state.global_step] = weights(self.model)
            return metrics

    at_step = {}
    best_first = {"metric_for_best_model": "loss", "greater_is_better": True}  # the loss falls: the first is the best
    trainer = train(trainer=Scored, eval_strategy="steps", eval_steps=3, load_best_model_at_end=True, **best_first)
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-3")
    assert_same(weights(trainer.model), at_step[3])


def test_the_guard_returns_to_all_weights_of_a_vit(train, tmp_path):
    trainer = train()
    stored = weights(trainer.model)
    with torch.no_grad():
        for param in trainer.model.parameters():
            param.add_(1.0)
    trainer._return_to_checkpoint(tmp_path / "out" / "checkpoint-9")
    assert_same(weights(trainer.model), stored)


def test_weights_that_are_missing_or_of_another_shape_are_named(train, tmp_path, capsys):
    train(max_steps=3)
    checkpoint = tmp_path / "out" / "checkpoint-3"
    with pytest.raises(
        UserError,
        match=r"^[^\n]*checkpoint-3 does not fit this model: it lacks 16 of its weights, [^\n]*vit\.layers\.2\.",
    ):
        train(vit(num_hidden_layers=3), resume=str(checkpoint))
    with pytest.raises(
        UserError, match=r"it lacks 6 of its weights, or has them in another shape \(vit\.layers\.0\.mlp\.fc1"
    ):
        train(vit(intermediate_size=48), resume=str(checkpoint))
    (checkpoint / "manifest.json").unlink()
    stored = load_file(checkpoint / "model.safetensors")
    save_file(
        {name: value for name, value in stored.items() if "classifier" not in name}, checkpoint / "model.safetensors"
    )
    with pytest.raises(UserError, match=r"it lacks 2 of its weights, [^\n]*\(classifier\.weight, classifier\.bias\)$"):
        train(resume=str(checkpoint))
    assert "LOAD REPORT" not in capsys.readouterr().err


def test_an_adapter_on_a_vit_goes_on_where_it_was(train, tmp_path):
    from peft import LoraConfig, get_peft_model

    def adapted():
        torch.manual_seed(0)
        return get_peft_model(vit(), LoraConfig(target_modules=["q_proj"], modules_to_save=["classifier"], r=2))

    straight = train(adapted())
    resumed = train(adapted(), resume=str(tmp_path / "out" / "checkpoint-3"))
    assert_same(weights(resumed.model), weights(straight.model))


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_with_its_own_names_is_loaded_by_the_host(tied, arguments, token_rows, tmp_path, monkeypatch):
    def run(resume=None):
        torch.manual_seed(0)
        config = LlamaConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=258,
            tie_word_embeddings=tied,
        )  # fmt: skip
        settings = arguments(
            save_strategy="steps", save_steps=2, load_best_model_at_end=True, eval_strategy="steps", eval_steps=2
        )
        trainer = StrategyTrainer(
            LlamaForCausalLM(config), settings, train_dataset=token_rows, eval_dataset=token_rows
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    monkeypatch.setattr(PreTrainedModel, "from_pretrained", None)  # a second copy of the weights is not made
    straight = run()
    with safe_open(tmp_path / "out" / "checkpoint-2" / "model.safetensors", "pt") as stored:
        assert ("lm_head.weight" in stored.keys()) != tied  # noqa: SIM118 - it is no dict
    assert_same(weights(run(str(tmp_path / "out" / "checkpoint-2")).model), weights(straight.model))


def test_a_module_that_is_no_model_of_the_host_must_be_there_in_full(arguments, tmp_path):
    class Scale(torch.nn.Module):
        def __init__(self, **more):
            super().__init__()
            self.factor, self.more = torch.nn.Parameter(torch.ones(2)), torch.nn.ParameterDict(more)

        def forward(self, inputs, labels):
            return {"loss": ((inputs * self.factor - labels) ** 2).mean()}

    def run(module, resume=None, steps=2):
        rows = [{"inputs": torch.ones(2), "labels": torch.zeros(2)}] * 4
        settings = arguments(save_strategy="steps", save_steps=2, max_steps=steps)
        return StrategyTrainer(module, settings, train_dataset=rows).train(resume_from_checkpoint=resume)

    run(Scale())
    checkpoint = str(tmp_path / "out" / "checkpoint-2")
    assert run(Scale(), checkpoint, steps=3).global_step == 3
    with pytest.raises(UserError, match=r"it lacks 1 of its weights, [^\n]*\(more\.bias\)$"):
        run(Scale(bias=torch.zeros(1)), checkpoint, steps=3)
