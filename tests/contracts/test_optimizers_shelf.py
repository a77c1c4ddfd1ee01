"""What every optimizer on the shelf promises."""

import copy
import importlib.util
import inspect
import io
import itertools
from collections import Counter

import peft
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

from hf_strategies.callbacks.schedule_free import has_modes
from hf_strategies.errors import UserError
from hf_strategies.optimizers import OPTIMIZERS, OptimizerFactory, create_optimizer
from hf_strategies.optimizers.hyperparameters import RANGES

VOCAB = 64
MEMBER = "pytorch_optimizer:Adan"  # one for its whole family

# An update of about 1e-3 in each coordinate; where the rate means something else, what comes near to that.
USUAL_RATE = 1e-3
RATES = {"sgd": 1.0, "adafactor": 1e-2}


def skip_without_its_package(name: str) -> str:
    package = OPTIMIZERS[name].facts.get("package")
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"{name} needs {package}, which is not installed")
    return name


@pytest.fixture(params=OPTIMIZERS.names())
def shelved(request) -> str:
    return skip_without_its_package(request.param)


@pytest.fixture(params=[*OPTIMIZERS.names(), MEMBER])
def name(request) -> str:
    return skip_without_its_package(request.param)


def build(name: str, model: nn.Module, *, boost: float = 1.0, **settings) -> torch.optim.Optimizer:
    optimizer = create_optimizer(name, model, lr=RATES.get(name, USUAL_RATE), **settings)
    for group in optimizer.param_groups:
        group["lr"] *= boost  # as a schedule would: no rate that a user may ask for moves bf16 weights with sgd
    if has_modes(optimizer):
        optimizer.train()
    return optimizer


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
    assert {"adafactor", "adamw", "lion", "muon", "schedule_free_adamw", "sgd", "soap"} <= set(OPTIMIZERS.names())


def test_the_entry_lists_the_builders_own_hyperparameters_and_each_has_a_range(shelved):
    entry = OPTIMIZERS[shelved]
    listed = [word for word in entry.facts["hyperparameters"] if word != "adamw_lr"]  # which groups arrive with
    hyper = list(inspect.signature(entry.build).parameters)[1:]
    assert [word for word in hyper if word not in ("lr", "weight_decay", "adamw_lr")] == listed
    assert {*hyper, *entry.facts["hyperparameters"]} <= RANGES.keys()


def test_an_unknown_word_is_refused(name):
    with pytest.raises(UserError, match="has no setting 'momentm'"):
        create_optimizer(name, tiny_llama(), lr=1e-3, momentm=0.9)


@pytest.mark.parametrize("tied", [True, False])
def test_everything_that_trains_moves_and_what_is_frozen_stays(name, tied):
    model = tiny_llama(tied=tied)
    frozen = {f"model.layers.0.{part}.weight" for part in ("mlp.up_proj", "input_layernorm")}
    for part in frozen:
        model.get_parameter(part).requires_grad_(False)
    before = snapshot(model)
    advance(model, build(name, model, weight_decay=0.1), steps=2, seed=1)
    assert moved(model, before) == before.keys() - frozen


def test_adapters_move_and_the_model_under_them_stays(name):
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = peft.get_peft_model(tiny_llama(), config)
    adapters = {word for word, param in model.named_parameters() if param.requires_grad}
    assert len(adapters) == 8
    before = snapshot(model)
    # The first factor has no gradient until the second one has left zero, and then a small one.
    advance(model, build(name, model, boost=30), steps=4, seed=1)
    assert moved(model, before) == adapters


def test_a_group_with_rate_zero_stays(name):
    model = tiny_llama()
    optimizer = build(name, model, weight_decay=0.1)
    optimizer.param_groups[0]["lr"] = 0.0
    still = {id(param) for param in optimizer.param_groups[0]["params"]}
    before = snapshot(model)
    advance(model, optimizer, steps=2, seed=1)
    assert moved(model, before) == {name for name, param in model.named_parameters() if id(param) not in still}


def test_an_update_is_as_long_as_its_groups_rate_says(name):
    """A schedule multiplies rates: ten times the rate, for one group alone, moves that one ten times as far."""
    moves = []
    for factor in (1.0, 10.0):
        model = tiny_llama()
        optimizer = build(name, model)
        optimizer.param_groups[-1]["lr"] *= factor
        before = snapshot(model)
        while not moved(model, before):  # soap's first step only measures
            advance(model, optimizer, steps=1, seed=1)
        faster = {id(param) for param in optimizer.param_groups[-1]["params"]}
        moves.append({word: param.detach() - before[word] for word, param in model.named_parameters()})
    for word, param in model.named_parameters():
        factor = 10.0 if id(param) in faster else 1.0
        tolerance = 4e-7 * before[word].abs().max().item()  # of float32, at the size of the weights
        torch.testing.assert_close(moves[1][word], factor * moves[0][word], rtol=1e-4, atol=factor * tolerance)


def test_bf16_weights_stay_finite_and_move(name):
    model = tiny_llama().to(torch.bfloat16)
    before = snapshot(model)
    # An update of 0.05 is above half a bf16 step at the largest weight, a norm's 1.0, so that even that one shows it.
    advance(model, build(name, model, boost=50, weight_decay=0.1), steps=3, seed=1)
    assert moved(model, before) == before.keys()
    assert all(torch.isfinite(param).all() for param in model.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_saving_and_resuming_changes_no_bit(name, dtype):
    model = tiny_llama().to(dtype)
    straight = build(name, model, boost=10, weight_decay=0.1)
    advance(model, straight, steps=3, seed=1)
    file, resumed_model = io.BytesIO(), copy.deepcopy(model)
    torch.save(straight.state_dict(), file)
    advance(model, straight, steps=3, seed=2)

    resumed = build(name, resumed_model, boost=10, weight_decay=0.1)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    advance(resumed_model, resumed, steps=3, seed=2)
    assert moved(resumed_model, snapshot(model)) == set()


def tensors_in(state) -> list[torch.Tensor]:
    if isinstance(state, torch.Tensor):
        return [state]
    inner = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else ()
    return [tensor for item in inner for tensor in tensors_in(item)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_state_takes_the_memory_that_the_entry_states(shelved, dtype):
    # Two matrices above the 4,096 elements from which 8-bit states are quantized, one below, a kernel, and vectors.
    layers = [nn.Linear(64, 81), nn.LayerNorm(81), nn.Linear(81, 64, bias=False), nn.Linear(64, 8), nn.Conv1d(8, 6, 3)]
    model = nn.Sequential(*layers).to(dtype)
    optimizer = build(shelved, model)
    for _ in range(2):
        for param in model.parameters():
            param.grad = torch.ones_like(param)
        optimizer.step()
    owners = Counter(map(id, tensors_in(list(optimizer.state.values()))))  # one table of 8-bit codes serves them all
    state_bytes = OPTIMIZERS[shelved].facts["state_bytes"]
    for group in optimizer.param_groups:
        for param in group["params"]:
            kept = [tensor for tensor in tensors_in(optimizer.state[param]) if tensor.ndim > 0]
            own = sum(tensor.nbytes for tensor in kept if owners[id(tensor)] == 1)
            assert own == state_bytes(param.shape, param.itemsize, group.get("matrix", False)), tuple(param.shape)


def test_it_solves_least_squares(name):
    """Eight outputs of eight inputs, without noise: the rate falls to zero, and so must the loss."""
    torch.manual_seed(0)
    model, truth = nn.Linear(8, 8), nn.Linear(8, 8)
    inputs = torch.randn(64, 8)
    targets = truth(inputs).detach()
    optimizer = build(name, model, boost={"sgd": 0.5, "adafactor": 10, MEMBER: 20}.get(name, 30))
    schedule = LambdaLR(optimizer, lambda step: 1.0 if has_modes(optimizer) else 1 - step / 300)
    first = None
    for _ in range(300):
        loss = (model(inputs) - targets).square().mean()
        first = first or loss.item()
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    if has_modes(optimizer):
        optimizer.eval()
    assert (model(inputs) - targets).square().mean() < 1e-3 * first


class RecordWeights(TrainerCallback):
    """Keep one weight after every update."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.seen.append(model.model.layers[0].mlp.up_proj.weight.detach().clone())


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
    settings = {"name": name, "lr": RATES.get(name, USUAL_RATE), "weight_decay": 0.1}
    trainer = Trainer(
        tiny_llama(),
        args,
        train_dataset=[{"input_ids": row, "labels": row} for row in rows],
        optimizer_cls_and_kwargs=(OptimizerFactory, settings),
        callbacks=[record],
    )
    for _ in range(2):
        trainer.train()
    assert isinstance(trainer.optimizer.optimizer, type(create_optimizer(name, tiny_llama(), lr=1e-3)))
    assert len(record.seen) == 8
    moves = [not torch.equal(earlier, later) for earlier, later in itertools.pairwise(record.seen)]
    assert sum(moves) >= 7 - (name == "soap")  # whose first step of each run only measures
