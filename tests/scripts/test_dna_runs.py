"""DNA end to end: a genome that is pretrained on, and promoters that are told from what is none."""

import json

import pytest
import yaml
from transformers import AutoTokenizer

from scripts.pretrain import main

SHORT = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "max_seq_length": 256,
    "global_batch_size": "4",
    "per_device_train_batch_size": 4,
    "per_device_eval_batch_size": 4,
    "max_steps": 12,
    "logging_steps": 1,
    "eval_steps": 12,
    "save_steps": 12,
    "num_completions": 0,
    "max_eval_samples": 2,
    "use_cpu": True,
    "report_to": "none",
}


def test_a_genome_is_pretrained_on_and_its_model_is_tuned_on_promoters(
    real_data, tmp_path, finetune, refuse_finetune, capsys
):
    settings = {**SHORT, "recipe": "hyena_dna", "learning_rate": 3e-3, "warmup_steps": 0, "tokenizer": "bases"}
    path = tmp_path / "dna.yaml"
    path.write_text(yaml.safe_dump(settings))
    folder = tmp_path / "pretrained"
    genome = ["--train_file", str(real_data("dna/MT-human.fa")), "--reverse_complement"]
    results = main([str(path), *genome, "--output_dir", str(folder)])
    assert "1 lowercase (soft-masked) bases read as capitals" in capsys.readouterr().out
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    losses = [row["loss"] for row in history if "loss" in row]
    assert len(losses) == 12
    assert losses[-1] < losses[0] - 0.2
    assert results["eval_loss"] < 1.6  # four bases by chance: 1.386, six tokens: 1.792
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert set(tokenizer.get_vocab()) == {"<|endoftext|>", *"ACGTN"}

    table = str(real_data("dna/human_nontata_promoters_test.csv"))
    promoters = ["--task", "text-classification", "--train_file", table]
    rows = ["--text_column", "seq", "--max_train_samples", "32", "--max_eval_samples", "16", "--max_steps", "2"]
    scores, tuned = finetune(*promoters, *rows, "--model_name_or_path", str(folder))
    assert 0.0 <= scores["eval_accuracy"] <= 1.0
    assert set(AutoTokenizer.from_pretrained(tuned).get_vocab()) == set(tokenizer.get_vocab())
    fresh = ["--architecture", "gru", "--hidden_size", "16", "--num_hidden_layers", "1", "--tokenizer", "bases"]
    scores, tuned = finetune(*promoters, *rows, *fresh, name="fresh")
    assert len(AutoTokenizer.from_pretrained(tuned)) == 6  # five bases, and the end of a text
    prose = tmp_path / "prose.csv"
    prose.write_text("seq,label\n" + "".join(f"Text {number},{number % 2}\n" for number in range(80)))
    said = refuse_finetune(*promoters[:3], str(prose), *rows, *fresh, name="prose")
    assert "tokenizer bases reads the bases A C G T N" in said


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--reverse_complement", "--streaming", "--max_steps", "3"], "does not go with streaming"),
        (["--reverse_complement", "--isolate_documents"], "does not go with isolate_documents"),
        (["--validation_records", "a", "--validation_file", "b"], "cannot both be given"),
    ],
)
def test_settings_of_dna_that_do_not_go_together_are_refused(flags, complaint, refuse):
    assert complaint in refuse("--train_file", "x.fa", *flags)
