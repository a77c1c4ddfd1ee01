import pytest
from peft import LoraConfig, get_peft_model
from transformers import FalconConfig, FalconForCausalLM

from hf_strategies.data.example_packing import PackedExamples
from hf_strategies.runs.tuned_rows import unpack_where_seen
from hf_strategies.tasks import TASKS
from hf_strategies.tasks.causal_lm import SingleExamples
from hf_strategies.tasks.task import TaskSettings

SIZES = {"vocab_size": 258, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
ROWS = [{"prompt": f"What is {number}?", "completion": "A number."} for number in range(4)]


@pytest.mark.parametrize("adapter", [False, True], ids=["bare", "lora"])
def test_examples_share_rows_where_the_model_keeps_them_apart_and_nowhere_else(
    adapter, tiny_lm, byte_tokenizer, arguments
):
    def shared(model):
        task = TASKS["causal-lm"].build(TaskSettings(max_seq_length=128))
        task.settle(ROWS, ROWS, ())
        tuned = get_peft_model(model, LoraConfig(target_modules="all-linear")) if adapter else model
        notes = unpack_where_seen(task, tuned, arguments())
        return notes, task.dataset("train", ROWS, byte_tokenizer, seed=0)

    notes, rows = shared(tiny_lm)
    assert notes == []
    assert isinstance(rows, PackedExamples)
    notes, rows = shared(FalconForCausalLM(FalconConfig(**SIZES)))
    assert "so each has its row: FalconForCausalLM does not keep them apart" in notes[0]
    assert isinstance(rows, SingleExamples)
