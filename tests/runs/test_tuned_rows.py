import json
import shutil

import pytest
from peft import LoraConfig, get_peft_model
from transformers import FalconConfig, FalconForCausalLM, TrainingArguments

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.resolved import FILE_NAME, write_resolved
from hf_strategies.arguments.tuning_topics import FINETUNE
from hf_strategies.data.example_packing import PackedExamples
from hf_strategies.models.factory import count_parameters
from hf_strategies.runs.tuned_model import build_tuned_model
from hf_strategies.runs.tuned_rows import prepare, settle_length, unpack_where_seen
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


def test_under_another_recipe_nothing_is_read_again_and_lengths_are_its_own(text_checkpoint, tmp_path):
    checkpoint = shutil.copytree(text_checkpoint("bert"), tmp_path / "bert")
    path = tmp_path / "rows.jsonl"
    rows = [{"text": f"row {number} is {number % 3}", "label": f"class {number % 3}"} for number in range(30)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--task", "text-classification", "--model_name_or_path", str(checkpoint), "--train_file", str(path)]

    def parsed(*more):
        return parse_arguments([*words, *more], description="", default_recipe="finetune", job=FINETUNE)

    first = prepare(parsed())
    count_parameters(first.config, first.task.head)
    path.unlink()
    (checkpoint / "tokenizer.json").unlink()
    config = (checkpoint / "config.json").read_text()
    (checkpoint / "config.json").unlink()
    again = prepare(parsed("--max_seq_length", "16"), first)
    assert (again.sides, again.processor) == (first.sides, first.processor)
    assert again.task.settings.max_seq_length == 16
    (checkpoint / "config.json").write_text(config)  # the host looks for one beside the weights
    args = TrainingArguments(output_dir="unused", use_cpu=True, report_to="none")
    tuned = build_tuned_model(parsed(), args, again.task, again.processor, again.sides.train, again.config)
    assert tuned.model.config.num_labels == 3
    assert len(first.config.id2label) == 2  # as it was read


@pytest.mark.parametrize("recipe", ["small_data", "instruct"])  # one names no length, one a longer one than there is
def test_what_is_written_down_of_rows_that_were_cut_reruns_the_run(recipe, text_checkpoint, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": f"row {n}", "label": f"class {n % 2}"}) + "\n" for n in range(30)))
    words = ["--task", "text-classification", "--model_name_or_path", str(text_checkpoint("bert"))]

    def parsed(*words):
        return parse_arguments([*words], description="", default_recipe="finetune", job=FINETUNE)

    asked = parsed(recipe, *words, "--train_file", str(path))
    write_resolved(settle_length(asked, prepare(asked)), tmp_path, "A run.")
    again = prepare(parsed(str(tmp_path / FILE_NAME)))
    assert again.task.settings.max_seq_length == 128  # the checkpoint's positions
    assert settle_length(parsed(str(tmp_path / FILE_NAME)), again).data.max_seq_length == 128
