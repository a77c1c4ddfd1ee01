import pytest
import torch
from torch.distributed.fsdp import FullyShardedDataParallel
from transformers import Trainer, TrainerCallback

from hf_strategies.callbacks.layer_norms import LayerNormsCallback, layer_of
from hf_strategies.errors import UserError
from hf_strategies.training import StrategyTrainer


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("model.layers.0.self_attn.q_proj.weight", "model.layers.0"),
        ("module.model.layers.11.mlp.up_proj.weight", "model.layers.11"),
        ("model.embed_tokens.weight", "model.embed_tokens"),
        ("lm_head.weight", "lm_head"),
        ("scale", "scale"),
    ],
)
def test_a_layer_is_a_block_or_else_a_module(name, layer):
    assert layer_of(name) == layer


class Copies(TrainerCallback):
    """Keeps weights and gradients of each update."""

    def __init__(self):
        self.weights, self.grads = {}, {}

    def on_pre_optimizer_step(self, args, state, control, model, **kwargs):
        step = state.global_step + 1
        self.weights[step] = {name: param.detach().clone() for name, param in model.named_parameters()}
        self.grads[step] = {name: param.grad.clone() for name, param in model.named_parameters()}


def test_norms_are_those_of_the_update_that_was_logged_and_of_no_other(tiny_lm, token_rows, arguments):
    copies = Copies()
    args = arguments(max_steps=6, logging_steps=3, learning_rate=1e-2)
    trainer = StrategyTrainer(tiny_lm, args, train_dataset=token_rows, callbacks=[copies, LayerNormsCallback()])
    trainer.train()
    rows = [row for row in trainer.state.log_history if "loss" in row]
    layers = {"model.layers.0", "model.layers.1", "model.embed_tokens", "model.norm", "lm_head"}
    for row, step in zip(rows, (3, 6), strict=True):
        kinds = ("parameter", "gradient", "update")
        assert {name for name in row if "/" in name} == {f"{kind}_norm/{layer}" for kind in kinds for layer in layers}
        after = copies.weights[step + 1] if step < 6 else dict(trainer.model.named_parameters())
        for layer in layers:
            names = [name for name in copies.weights[step] if name.startswith(f"{layer}.")]

            def norm(tensors, names=names):
                return torch.cat([tensors[name].detach().flatten() for name in names]).double().norm().item()

            moved = {name: after[name] - copies.weights[step][name] for name in names}
            assert row[f"parameter_norm/{layer}"] == pytest.approx(norm(copies.weights[step]), rel=1e-5)
            assert row[f"gradient_norm/{layer}"] == pytest.approx(norm(copies.grads[step]), rel=1e-5)
            assert row[f"update_norm/{layer}"] == pytest.approx(norm(moved), rel=1e-4)


def test_a_plain_trainer_has_them_in_its_history(tiny_lm, token_rows, arguments):
    args = arguments(max_steps=6, logging_steps=3)
    trainer = Trainer(tiny_lm, args, train_dataset=token_rows, callbacks=[LayerNormsCallback()])
    trainer.train()
    rows = [row for row in trainer.state.log_history if "loss" in row]
    assert [sum("_norm/" in name for name in row) for row in rows] == [15, 15]


def test_a_log_of_another_update_has_none(tiny_lm, token_rows, arguments):
    args = arguments(max_steps=-1, num_train_epochs=2, logging_strategy="epoch", logging_steps=3)
    trainer = StrategyTrainer(tiny_lm, args, train_dataset=token_rows, callbacks=[LayerNormsCallback()])
    trainer.train()
    assert not [name for row in trainer.state.log_history for name in row if "_norm/" in name]


def test_flat_weights_are_refused(arguments):
    flat = FullyShardedDataParallel.__new__(FullyShardedDataParallel)  # it takes two processes to make a whole one
    with pytest.raises(UserError, match="cannot be seen under FSDP1: use FSDP2"):
        LayerNormsCallback().on_train_begin(arguments(), None, None, model=flat)
