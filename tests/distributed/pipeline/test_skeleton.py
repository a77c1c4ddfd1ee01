"""The stages of a model, run one behind the other in one process, are the model."""

import pytest
import torch

from hf_strategies.distributed.pipeline.place import Place
from hf_strategies.distributed.pipeline.plan import base_of, own_units, pipeline_plan
from hf_strategies.distributed.pipeline.skeleton import Skeleton, tail_of
from hf_strategies.distributed.pipeline.weights import leave_to_other_stages

IDS = torch.randint(1, 32, (2, 8), generator=torch.Generator().manual_seed(0))
BATCHES = {
    "plain": {"input_ids": IDS},
    "packed": {"input_ids": IDS, "position_ids": torch.tensor([[0, 1, 2, 0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5, 0, 1]])},
    "padded": {"input_ids": IDS, "attention_mask": torch.tensor([[1] * 8, [1] * 5 + [0] * 3])},
}


def stage_of(model, stage: int):
    """Leave a model with one of two stages."""
    place = Place(rank=stage, stages=2, replicas=1)
    leave_to_other_stages(model, own_units(model, pipeline_plan(model), place))
    return model


@pytest.mark.parametrize("batch", list(BATCHES))
@pytest.mark.parametrize(
    "family", ["llama", "untied", "qwen2", "qwen3", "olmo2", "gpt_neox", "gpt2", "gemma2", "gemma4", "mixtral"]
)
def test_two_stages_have_the_loss_and_the_gradients_of_the_whole_model(build, family, batch):
    inputs = {**BATCHES[batch], "labels": IDS}
    whole, first, second = build(family).eval(), stage_of(build(family).eval(), 0), stage_of(build(family).eval(), 1)
    plan = pipeline_plan(whole)
    expected = whole(**inputs, use_cache=False)  # with a cache, borders of texts are not looked for
    expected.loss.backward()

    hidden = Skeleton(first, plan, embeds=True)(inputs)
    for model in (first, second):
        context = Skeleton(model, plan, embeds=False)
        context(inputs, hidden)
        for number, block in enumerate(getattr(base_of(model), plan.blocks)):
            if next(block.parameters()).is_meta:
                continue
            args, kwargs = context.call(number)
            hidden = block(hidden, *args, **kwargs)
    found = tail_of(second, plan)(**{**inputs, "inputs_embeds": hidden})
    found.loss.backward()

    assert torch.equal(found.loss, expected.loss)
    assert torch.equal(found.logits, expected.logits)
    for name, param in whole.named_parameters():
        stages = [model.get_parameter(name) for model in (first, second)]
        grads = [part.grad for part in stages if not part.is_meta]
        assert len(grads) == (2 if whole.config.tie_word_embeddings and param is whole.lm_head.weight else 1)
        torch.testing.assert_close(sum(grads), param.grad)


def test_a_skeleton_leaves_the_model_as_it_was(build):
    model = build("gpt2")
    children, forward = dict(model.transformer.named_children()), model.forward
    Skeleton(model, pipeline_plan(model), embeds=False)({"input_ids": IDS}, torch.zeros(2, 8, 16))
    assert dict(model.transformer.named_children()) == children
    assert model.forward == forward
