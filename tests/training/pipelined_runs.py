"""Runs of one process and of pipelines, forked from this one; each leaves what it found in a file of its rank."""

import json
import multiprocessing
import os
import re
import socket
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import deepspeed  # noqa: F401  # once, before the runs are forked
import peft
import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    TrainingArguments,
    default_data_collator,
)

from hf_strategies.callbacks.early_stopping import EarlyStoppingCallback
from hf_strategies.callbacks.weight_averaging import WeightAveragingCallback
from hf_strategies.data.mixed_blocks import MixedBlocks
from hf_strategies.data.mixture_order import MixtureOrder, Phase
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.errors import UserError
from hf_strategies.metrics.language_modeling import language_modeling_metrics, next_token_nll
from hf_strategies.optimizers import OptimizerFactory
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.guard import GuardOptions
from hf_strategies.training.source_losses import SourceLossMixin

SIZES = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 32, "pad_token_id": 0,
}  # fmt: skip
GPT2_SIZES = {"vocab_size": 64, "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 32}
WINDOWS = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 2}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES, **WINDOWS)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**GPT2_SIZES)),  # with the dropout of 0.1 that is usual there
}
CALLBACKS = {"EarlyStopping": lambda: EarlyStoppingCallback(1), "Averaging": lambda: WeightAveragingCallback("ema")}


def make_rows() -> list[dict[str, Tensor]]:
    """Make 68 rows of two texts each, of which a part is not learned."""
    draws, rows = torch.Generator().manual_seed(0), []
    for _ in range(68):
        ids, skipped, border = (
            torch.randint(1, 64, (16,), generator=draws),
            *torch.randint(3, 12, (2,), generator=draws),
        )
        labels = torch.where(torch.arange(16) < skipped, -100, ids)
        positions = torch.cat([torch.arange(border), torch.arange(16 - border)])
        rows.append({"input_ids": ids, "labels": labels, "position_ids": positions})
    return rows


def ragged(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Collate 8 to 15 tokens of each row, padded."""
    lengths = [8 + int(row["input_ids"][0]) % 8 for row in rows]
    batch = {name: torch.stack([row[name][: max(lengths)] for row in rows]) for name in ("input_ids", "labels")}
    there = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return {**batch, "labels": batch["labels"].where(there, -100), "attention_mask": there.long()}


def mixed(rows: list[dict[str, Tensor]]) -> MixedBlocks:
    """Take three of four samples from the first half of the rows, and one from the other."""
    order = MixtureOrder([Phase(0, (Fraction(3, 4), Fraction(1, 4)))])
    return MixedBlocks({"many": rows[:34], "few": rows[34:]}, order, num_samples=32, seed=0)


class Faulty(SourceLossMixin, StrategyTrainer):
    """Has no finite loss in the updates that are `bad`, on the stage that computes it."""

    def __init__(self, *args: Any, bad: list[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bad, self.actions, self.sums = bad, {}, {}

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        found = super().compute_loss(*args, **kwargs)
        return found * float("nan") if self.model.training and self.state.global_step + 1 in self.bad else found

    def _end_update(self) -> None:
        super()._end_update()
        step, here = self.state.global_step + 1, [param for param in self.model.parameters() if not param.is_meta]
        self.actions[step] = self._verdict.action.value
        self.sums[step] = [param.double().abs().sum().item() for param in here]


def arguments_of(folder: Path, world: int, options: dict[str, Any]) -> TrainingArguments:
    """Make the host's arguments of eight rows per update; takes what is DeepSpeed's out of `options`."""
    accumulation, stages = options.pop("gradient_accumulation_steps", 2), options.pop("stages", 1)
    settings = {
        "pipeline": {"stages": stages, **options.pop("engine", {})},
        "zero_optimization": {"stage": options.pop("zero", 1)},
        "data_types": {"grad_accum_dtype": options.pop("sums", None)},
        "bf16": {"enabled": "auto"},
    }
    sizes = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")
    usual = {
        "max_steps": 4, "per_device_train_batch_size": 8 // accumulation // (world // stages),
        "gradient_accumulation_steps": accumulation, "per_device_eval_batch_size": 4, "eval_strategy": "steps",
        "eval_steps": 2, "learning_rate": 1e-2, "logging_steps": 1, "save_strategy": "no", "use_cpu": True,
        "report_to": "none", "disable_tqdm": True, "deepspeed": settings | dict.fromkeys(sizes, "auto"),
    }  # fmt: skip
    return TrainingArguments(folder, **usual | ({"deepspeed": None} if world == 1 else {}) | options)


def build(folder: Path, options: dict[str, Any]) -> nn.Module:
    """Make a model, the same in all processes; takes what is the model's out of `options`."""
    torch.manual_seed(0)
    family, start, frozen = options.pop("family", "llama"), options.pop("start", None), options.pop("frozen", None)
    model = MODELS[family]() if start is None else AutoModelForCausalLM.from_pretrained(folder / start)
    for name, param in model.named_parameters():
        param.requires_grad_(frozen is None or not re.search(frozen, name))
    if options.pop("lora", False):
        model = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    return model


def run(folder: Path, world: int, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Train and evaluate; return what was found, or what was refused."""
    model, resume, times = build(folder, options), options.pop("resume", None), options.pop("trains", 1)
    collator = ragged if options.pop("ragged_rows", False) else default_data_collator
    optimizer, settings = options.pop("optimizer", None), options.pop("settings", {})
    if optimizer is not None:
        settings["optimizer_cls_and_kwargs"] = (OptimizerFactory, optimizer)
    bad, guard = options.pop("bad", []), GuardOptions(**options.pop("guard", {}))
    callbacks, rows, told = [CALLBACKS[callback]() for callback in options.pop("callbacks", [])], make_rows(), {}
    train = mixed(rows) if options.pop("mixed", False) else rows
    try:
        trainer = Faulty(
            model, arguments_of(folder / name, world, options), train_dataset=train, eval_dataset=rows[:13], bad=bad,
            data_collator=collator, preprocess_logits_for_metrics=next_token_nll, callbacks=callbacks, guard=guard,
            compute_metrics=lambda found: language_modeling_metrics(found.predictions, num_bytes=100.0), **settings,
        )  # fmt: skip
        for _ in range(times):
            trainer.train(resume_from_checkpoint=resume and str(folder / resume))
        if times:
            trainer.save_last()
        state = trainer.state
        told |= {"sums": trainer.sums, "actions": trainer.actions, "step": state.global_step}
        told |= {"flos": state.total_flos, "tokens": state.num_input_tokens_seen}
        told |= {"evaluated": trainer.evaluate(), "log": state.log_history}
    except UserError as error:
        told["refused"] = str(error)
    return told


def start_rank(rank: int, port: int, folder: Path, *, world: int, name: str, **options: Any) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)}
    told = run(folder, world, name, options)
    (folder / name).mkdir(exist_ok=True)
    (folder / name / f"told-{rank}.json").write_text(json.dumps(told))
    leave_process_group()


def main() -> None:
    torch.set_num_threads(1)
    for task in json.loads(sys.argv[2]):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        fork = multiprocessing.get_context("fork").Process
        places = [(rank, port, Path(sys.argv[1])) for rank in range(task["world"])]
        ranks = [fork(target=start_rank, args=place, kwargs=task) for place in places]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join(120)
        if any(rank.exitcode != 0 for rank in ranks):
            for rank in ranks:
                rank.kill()
            sys.exit(f"{task} failed")


if __name__ == "__main__":
    main()
