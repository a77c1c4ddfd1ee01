"""NEFTune, which is the host's (`neftune_noise_alpha`), in our Trainer: its noise, and the same after a resume."""

import pytest
import torch
from transformers import TrainerCallback

from hf_strategies.training import StrategyTrainer


class KeepNoise(TrainerCallback):
    """Note by how much the embeddings of each forward pass differ from the words' own."""

    def __init__(self) -> None:
        self.noises: list[torch.Tensor] = []

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        embeddings = model.get_input_embeddings()  # the host's hook is on them by now
        self.hook = embeddings.register_forward_hook(
            lambda module, inputs, output: self.noises.append((output - module.weight[inputs[0]]).detach())
        )

    def on_train_end(self, args, state, control, **kwargs):
        self.hook.remove()


@pytest.fixture
def run(build_lm, arguments, numbered_rows, tmp_path):
    """Nine updates of 2 x 4 rows of 8 words, 16 numbers wide."""

    def train(name, alpha, resume=None):
        args, keep, model = arguments(neftune_noise_alpha=alpha), KeepNoise(), build_lm()
        args.output_dir = str(tmp_path / name)
        trainer = StrategyTrainer(model, args, train_dataset=numbered_rows, callbacks=[keep])
        trainer.train(resume_from_checkpoint=resume and str(resume))
        weights = torch.cat([param.detach().flatten() for param in model.parameters()])
        return keep.noises, weights, trainer

    return train


def test_noise_is_the_papers_and_a_resumed_run_draws_the_same(run, tmp_path):
    noises, weights, trainer = run("straight", 5.0)
    assert len(noises) == 18
    drawn = torch.cat(noises).flatten()
    bound = 5.0 / (8 * 16) ** 0.5  # alpha over the root of words times width
    assert 0.99 * bound < drawn.abs().max() <= 1.0001 * bound
    assert drawn.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)  # of uniform draws
    assert not trainer.model.get_input_embeddings()._forward_hooks
    _, without, _ = run("without", None)
    assert not torch.equal(weights, without)
    for step in (2, 4):
        again, resumed, _ = run(f"from-{step}", 5.0, resume=tmp_path / "straight" / f"checkpoint-{step}")
        for ours, theirs in zip(again, noises[2 * step :], strict=True):
            assert torch.equal(ours, theirs)
        assert torch.equal(resumed, weights)
