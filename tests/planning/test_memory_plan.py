import pytest
import torch

from hf_strategies.planning.memory_plan import plan_memory
from hf_strategies.planning.memory_request import parse_memory
from hf_strategies.planning.planned_model import PlannedModel
from hf_strategies.planning.process_memory import HEAP_SLACK, process_memory, states_of
from scripts.plan import main

SMALL = ["--hidden_size", "64", "--num_hidden_layers", "4", "--vocab_size", "256", "--max_seq_length", "32"]
SMALL += ["--global_batch_size", "8", "--no_bf16"]


def planned(*words: str) -> PlannedModel:
    return PlannedModel(parse_memory([*SMALL, *words]))


def test_a_process_holds_states_snapshots_and_its_largest_step():
    plan = planned("--optimizer", "adamw", "--per_device_train_batch_size", "4", "--per_device_eval_batch_size", "1")
    memory = process_memory(plan, recompute=False)
    states = memory.states
    assert memory.snapshots == 2 * (states.weights + states.optimizer)
    assert states.optimizer == 2 * states.gradients
    trace = plan.trace(4, weights=torch.float32, autocast=torch.float32, recompute=False)
    kept = states.weights + states.optimizer + memory.snapshots
    assert memory.peak == round(kept + (1 + HEAP_SLACK) * trace.later)  # the later one of two micro-batches
    once = process_memory(planned("--optimizer", "adamw", "--guard", "false"), recompute=False)
    assert once.snapshots == 0


def test_an_evaluation_may_be_the_most():
    large = process_memory(planned("--per_device_eval_batch_size", "512"), recompute=False)
    usual = process_memory(planned("--per_device_eval_batch_size", "8"), recompute=False)
    assert large.peak - usual.peak > 512 * 32 * 256 * 4  # its logits


def test_an_adapter_trains_little_and_a_quantized_base_is_small():
    whole, lora = states_of(planned()), states_of(planned("--adapter", "lora", "--adapter_kwargs", "rank=4"))
    assert lora.frozen == whole.trained
    assert lora.gradients == 4 * lora.trained < whole.gradients / 10
    small = states_of(planned("--adapter", "lora", "--adapter_kwargs", "rank=4", "--quantization", "nf4"))
    matrices = 4 * (4 * 64 * 64 + 3 * 64 * 192)  # attention and the gated feed-forward of four blocks
    assert lora.weights - small.weights == pytest.approx(matrices * (4 - 4.127 / 8), rel=1e-3)


def test_a_fine_tuning_run_is_planned_from_its_checkpoint(text_checkpoint):
    words = ["--task", "text-classification", "--model_name_or_path", text_checkpoint("bert"), "--adapter", "lora"]
    said = plan_memory(parse_memory(words))
    assert "of them trained" in said
    assert "x 128 tokens" in said  # the checkpoint has no more positions


def test_a_plan_for_gpus_ends_in_a_command(capsys):
    main(["memory", *SMALL, "--optimizer", "adamw", "--gpus", "2", "--gpu_memory", "80GB"])
    said = capsys.readouterr().out
    assert "accelerate launch --config_file accelerate_configs/ddp.yaml --num_processes 2 scripts/pretrain.py " in said
    assert max(map(len, said.split("cheapest")[0].splitlines())) <= 110


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--gpus", "0"], "--gpus: expected at least 1, got 0"),
        (["--gpus", "2"], '--gpus needs --gpu_memory: the memory of one, such as "80GB"'),
        (["--gpu_memory", "0GB"], "--gpu_memory: expected an amount of memory above 0"),
        (["--gpu_memory", "80"], "--gpu_memory: expected an amount of memory above 0, such as \"80GB\", got '80'"),
        (["--quantization", "nf4"], "--quantization needs --adapter: what is frozen does not train"),
        (["--adapter", "lorra"], "unknown adapter 'lorra', did you mean 'lora'?"),
        (["--hidden_size", "100", "--num_attention_heads", "3"], "hidden_size 100 is not divisible by"),
        (["--parameters", "3"], "parameters 3: the nearest transformer_pp has"),
        (["--parameters", "7X"], "expected a number of parameters"),
        (["--task", "text-classification"], "model_name_or_path"),
        (["--gpus", "3", "--gpu_memory", "8GB"], "is not a multiple of"),
    ],
)
def test_a_plan_of_what_cannot_be_is_one_line(words, complaint, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["memory", *words])
    assert ended.value.code == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert complaint in line
    assert said.out == ""


def test_help_lists_its_options_and_the_jobs(capsys):
    main(["memory", "--help"])
    said = capsys.readouterr().out
    assert "python scripts/plan.py memory --parameters 1B" in said
    assert "--gpu_memory TEXT" in said
