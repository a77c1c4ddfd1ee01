"""What every optimizer on the shelf promises."""

import copy
import inspect
import io
import itertools

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

from hf_strategies.errors import UserError
from hf_strategies.optimizers import OPTIMIZERS, OptimizerFactory, create_optimizer
from hf_strategies.optimizers.hyperparameters import RANGES
from hf_strategies.optimizers.param_groups import split_matrices

VOCAB = 64


def tiny_llama(*, tied: bool = True) -> LlamaForCausalLM:
    """A two-layer model of about 6k parameters, the same in every test."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=VOCAB, max_position_embeddings=32, tie_word_embeddings=tied, **sizes)
    )


def advance(model, optimizer, *, steps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        ids = torch.randint(0, VOCAB, (2, 8), generator=generator)
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def snapshot(model) -> dict[str, torch.Tensor]:
    return {name: param.detach().clone() for name, param in model.named_parameters()}


def moved(model, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, param in model.named_parameters() if not torch.equal(param, before[name])}


def test_the_shelf_is_not_empty():
    assert {"adamw", "lion", "muon"} <= set(OPTIMIZERS.names())


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_the_entry_lists_the_builders_own_hyperparameters_and_each_has_a_range(name):
    entry = OPTIMIZERS[name]
    hyper = list(inspect.signature(entry.build).parameters)[1:]
    assert [word for word in hyper if word not in ("lr", "weight_decay")] == list(entry.facts["hyperparameters"])
    assert set(hyper) <= RANGES.keys()


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_an_unknown_word_is_refused(name):
    with pytest.raises(UserError, match=f"optimizer '{name}' has no setting 'momentm'"):
        create_optimizer(name, tiny_llama(), lr=1e-3, momentm=0.9)


@pytest.mark.parametrize("name", OPTIMIZERS.names())
@pytest.mark.parametrize("tied", [True, False])
def test_everything_that_trains_moves_and_what_is_frozen_stays(name, tied):
    model = tiny_llama(tied=tied)
    frozen = {f"model.layers.0.{part}.weight" for part in ("mlp.up_proj", "input_layernorm")}
    for part in frozen:
        model.get_parameter(part).requires_grad_(False)
    before = snapshot(model)
    advance(model, create_optimizer(name, model, lr=1e-3, weight_decay=0.1), steps=2, seed=1)
    assert moved(model, before) == before.keys() - frozen


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_a_group_with_rate_zero_stays(name):
    model = tiny_llama()
    optimizer = create_optimizer(name, model, lr=1e-3, weight_decay=0.1)
    optimizer.param_groups[0]["lr"] = 0.0
    still = {id(param) for param in optimizer.param_groups[0]["params"]}
    before = snapshot(model)
    advance(model, optimizer, steps=2, seed=1)
    assert moved(model, before) == {name for name, param in model.named_parameters() if id(param) not in still}


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_bf16_weights_stay_finite_and_move(name):
    model = tiny_llama().to(torch.bfloat16)
    before = snapshot(model)
    # 0.05 is above half a bf16 step at the largest weight, a norm's 1.0, so that even that one shows the update.
    advance(model, create_optimizer(name, model, lr=0.05, weight_decay=0.1), steps=3, seed=1)
    assert moved(model, before) == before.keys()
    assert all(torch.isfinite(param).all() for param in model.parameters())


@pytest.mark.parametrize("name", OPTIMIZERS.names())
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_saving_and_resuming_changes_no_bit(name, dtype):
    model = tiny_llama().to(dtype)
    straight = create_optimizer(name, model, lr=1e-2, weight_decay=0.1)
    advance(model, straight, steps=3, seed=1)
    file, resumed_model = io.BytesIO(), copy.deepcopy(model)
    torch.save(straight.state_dict(), file)
    advance(model, straight, steps=3, seed=2)

    resumed = create_optimizer(name, resumed_model, lr=1e-2, weight_decay=0.1)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    advance(resumed_model, resumed, steps=3, seed=2)
    assert moved(resumed_model, snapshot(model)) == set()


@pytest.mark.parametrize("name", OPTIMIZERS.names())
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_state_takes_the_memory_that_the_entry_states(name, dtype):
    facts = OPTIMIZERS[name].facts
    model = tiny_llama().to(dtype)
    optimizer = create_optimizer(name, model, lr=1e-3)
    advance(model, optimizer, steps=1, seed=1)
    matrices = {id(param) for param in split_matrices(model, 0.0)[0]["params"]} if facts["matrix_half"] else set()
    for param in model.parameters():
        buffers = facts["matrix_state_buffers"] if id(param) in matrices else facts["state_buffers"]
        kept = sum(value.nbytes for value in optimizer.state[param].values() if value.ndim > 0)
        assert kept == buffers * param.nbytes


class RecordWeights(TrainerCallback):
    """Keep one weight after every update."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.seen.append(model.model.layers[0].mlp.up_proj.weight.detach().clone())


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_a_plain_trainer_trains_with_it_twice(name, tmp_path):
    rows = torch.randint(0, VOCAB, (16, 8), generator=torch.Generator().manual_seed(0))
    args = TrainingArguments(
        tmp_path,
        max_steps=4,
        per_device_train_batch_size=2,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    record = RecordWeights()
    trainer = Trainer(
        tiny_llama(),
        args,
        train_dataset=[{"input_ids": row, "labels": row} for row in rows],
        optimizer_cls_and_kwargs=(OptimizerFactory, {"name": name, "lr": 1e-3, "weight_decay": 0.1}),
        callbacks=[record],
    )
    for _ in range(2):
        trainer.train()
    assert isinstance(trainer.optimizer.optimizer, type(create_optimizer(name, tiny_llama(), lr=1e-3)))
    assert len(record.seen) == 8
    assert all(not torch.equal(earlier, later) for earlier, later in itertools.pairwise(record.seen))
