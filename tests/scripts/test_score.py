"""scripts/score.py from its command line: real questions, a real pretrained model of 260,032 parameters."""

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertModel,
    T5Config,
    T5ForConditionalGeneration,
)

from hf_strategies.reports import read_events
from scripts.finetune import main as finetune
from scripts.score import main

WORDS = {"0": "big", "1": "little", "2": "a", "3": "Lily", "4": "park", "5": "three"}
PROMPT = ["--prompt_template", "{text}\nIt is", "--label_words", json.dumps(WORDS)]


@pytest.fixture
def stories(real_data) -> str:
    return str(real_data("stories260K"))


@pytest.fixture
def questions(real_data, tmp_path):
    """Write real questions of six types, some to learn from and some to ask about."""
    lines = real_data("text_classification/TREC.train.all").read_bytes().decode("latin-1").split("\n")

    def write(train: slice, held: slice) -> list[str]:
        paths = []
        for name, rows in (("train", train), ("held", held)):
            paths.append(tmp_path / f"{name}.txt")
            paths[-1].write_text("\n".join(lines[rows]), encoding="utf-8")
        return ["--train_file", str(paths[0]), "--validation_file", str(paths[1]), "--use_cpu"]

    return write


@pytest.fixture
def score(tmp_path, stories):
    """Run the script in this process; returns its results and its folder."""

    def run(*flags: str, name: str = "out", model: str = stories):
        folder = tmp_path / name
        return main(["--model_name_or_path", model, *PROMPT, *flags, "--output_dir", str(folder)]), folder

    return run


@pytest.fixture
def refuse(tmp_path, stories, capsys):
    """Run the script on something wrong; returns what it says before it exits with 2."""

    def run(*flags: str, model: str = stories) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["--model_name_or_path", model, "--output_dir", str(tmp_path / "refused"), *flags])
        assert ended.value.code == 2
        assert not (tmp_path / "refused").exists()
        said = capsys.readouterr().err.strip()
        assert "Traceback" not in said
        return said

    return run


@pytest.fixture
def tuned(tmp_path, stories):
    """A finished fine-tuning run of two updates."""

    def run(*flags: str, name: str) -> Path:
        settings = ["--task", "text-classification", "--max_steps", "2", "--per_device_train_batch_size", "4"]
        folder = tmp_path / name
        finetune(["full", *settings, "--model_name_or_path", stories, *flags, "--output_dir", str(folder)])
        return folder

    return run


def contenders(folder: Path) -> dict[str, dict]:
    return {one["method"]: one for one in json.loads((folder / "comparison.json").read_text())}


def test_prompts_stand_beside_fine_tuned_models_in_one_table(score, tuned, questions, capsys):
    rows = questions(slice(0, 60), slice(60, 80))
    full = tuned(*rows, name="tuned")
    soft = tuned(*rows, "--adapter", "prefix_tuning", name="soft")
    capsys.readouterr()
    results, folder = score(*rows, "--shots", "0", "3", "--num_seeds", "2", "--compare", str(full), str(soft))
    said = capsys.readouterr().out.splitlines()
    found = contenders(folder)
    assert list(found) == [
        "most frequent class", "prompt, 0 shots", "prompt, 0 shots, calibrated", "prompt, 3 shots",
        "prompt, 3 shots, calibrated", "full fine-tuning: tuned", "soft prompt, prefix_tuning: soft",
    ]  # fmt: skip
    start = next(number for number, line in enumerate(said) if line.startswith("method"))
    assert [line.split("  ")[0] for line in said[start + 2 : start + 9]] == list(found)
    assert max(map(len, said[start : start + 12])) <= 100
    learned = json.loads((full / "all_results.json").read_text())
    assert found["full fine-tuning: tuned"]["scores"] == [learned["eval_accuracy"]]
    assert found["full fine-tuning: tuned"]["training_seconds"] == learned["train_runtime"]
    assert found["full fine-tuning: tuned"]["trained_parameters"] == 260_032 + 64 * 6  # the head has six classes
    assert 64 * 6 < found["soft prompt, prefix_tuning: soft"]["trained_parameters"] < 10_000
    assert all(one["peak_memory"] > 10**8 for name, one in found.items() if name != "most frequent class")
    calibrated = found["prompt, 3 shots, calibrated"]["scores"]
    assert results["eval_accuracy"] == pytest.approx(sum(calibrated) / 2)
    assert json.loads((folder / "all_results.json").read_text()) == results
    assert (folder / "comparison.png").stat().st_size > 1000
    assert "soft prompt, prefix_tuning: soft" in (folder / "report.html").read_text()
    asked = [event for event in read_events(folder / "events.jsonl") if event["event"] == "scored"]
    assert len(asked) == 2 + 2 * 2  # one draw of none, two of three; as they are, and calibrated
    assert {event["draw"] for event in asked} == {0, 1}

    again = main([str(folder / "resolved_config.yaml"), "--output_dir", str(folder.with_name("again"))])
    times = {"eval_runtime", "eval_samples_per_second", "peak_memory_bytes"}
    assert {name: again[name] for name in again.keys() - times} == {
        name: results[name] for name in results.keys() - times
    }


def test_zero_shot_scores_are_those_of_plain_calls(score, stories, questions):
    """A loop over the likelihoods of whole texts, which share all but the word."""
    rows = questions(slice(0, 20), slice(20, 32))
    results, _ = score(*rows, "--shots", "0", "--calibration", "none")
    tokenizer, model = AutoTokenizer.from_pretrained(stories), AutoModelForCausalLM.from_pretrained(stories)
    lines = Path(rows[3]).read_text(encoding="utf-8").splitlines()
    logged = []
    with torch.no_grad():
        for line in lines:
            label, _, text = line.strip().partition(" ")
            totals = []
            for word in WORDS.values():
                tokens = torch.tensor([tokenizer(f"{text}\nIt is {word}")["input_ids"]])
                totals.append(-model(tokens, labels=tokens).loss.double() * (tokens.shape[1] - 1))
            logged.append(torch.stack(totals).log_softmax(dim=0)[list(WORDS).index(label)])
    assert len(lines) == 12
    assert results["eval_loss"] == pytest.approx(-torch.stack(logged).mean().item(), abs=1e-4)


def test_scores_do_not_depend_on_the_batch(score, questions):
    flags = (*questions(slice(0, 30), slice(30, 40)), "--shots", "4", "--num_seeds", "1")
    one, _ = score(*flags, "--per_device_eval_batch_size", "1", name="one")
    all_at_once, _ = score(*flags, "--per_device_eval_batch_size", "1000", name="all")
    assert one["eval_loss"] == pytest.approx(all_at_once["eval_loss"], abs=1e-5)


def test_a_row_is_never_a_demonstration_of_itself(score, questions, refuse, capsys):
    """Of 30 rows to learn from, 20 are asked about."""
    rows = questions(slice(0, 30), slice(10, 40))
    score(*rows, "--shots", "10", "--num_seeds", "1")
    said = capsys.readouterr().out
    assert "20 training rows are validation rows too, and are no demonstrations" in said
    assert "30 rows to ask about" in said
    assert "10 to demonstrate with" in said
    assert refuse(*PROMPT, *rows, "--shots", "11") == "error: shots 11: there are 10 rows to demonstrate with"


def test_what_does_not_fit_the_context_is_said(score, questions, capsys):
    score(*questions(slice(0, 30), slice(30, 40)), "--shots", "8", "--num_seeds", "1", "--max_seq_length", "150")
    said = capsys.readouterr().out
    assert "10 of 10 prompts show only 2 to 3 of 8 demonstrations: 150 tokens hold no more" in said
    score(*questions(slice(0, 30), slice(30, 40)), "--shots", "0", "--max_seq_length", "20", name="short")
    assert "texts were cut to fit 20 tokens" in capsys.readouterr().out


def test_an_encoder_decoder_is_asked_too(score, questions, byte_tokenizer, tmp_path):
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=258, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=257,
        pad_token_id=257, eos_token_id=256,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(tmp_path / "t5")
    byte_tokenizer.save_pretrained(tmp_path / "t5")
    rows = questions(slice(0, 30), slice(30, 40))
    flags = ("--shots", "2", "--num_seeds", "1", "--calibration", "pmi_dc", "--length_normalization")
    results, folder = score(*rows, *flags, model=str(tmp_path / "t5"))
    assert {"prompt, 2 shots", "prompt, 2 shots, calibrated"} < contenders(folder).keys()
    assert 0 < results["eval_loss"] < 10


def test_runs_on_other_rows_are_no_comparison(tuned, questions, refuse):
    full = tuned(*questions(slice(0, 30), slice(30, 40)), name="tuned")
    rows = questions(slice(0, 30), slice(30, 41))
    said = refuse(*PROMPT, *rows, "--compare", str(full))
    assert said.startswith(f"error: compare: {full} was validated on other rows; name the same files")


def test_a_finished_folder_is_reported(score, questions, capsys):
    rows = questions(slice(0, 10), slice(10, 20))
    results, _ = score(*rows, "--shots", "0")
    capsys.readouterr()
    assert score(*rows, "--shots", "0")[0] == results
    assert "holds this run, finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--label_words", "0=good,1=bad"], "label_words: class '2' has no word (classes: 0, 1, 2, 3, 4, 5)"),
        (["--prompt_template", "{tekst}:"], "{tekst} is no column of the prompt, did you mean 'text'?"),
        (["--prompt_template", "{text} and {text_pair}:"], "name its column with text_pair_column"),
        (["--calibration", "pmi_dc", "--prompt_template", "A: {text}"], "pmi_dc needs words behind the last column"),
        (["--max_seq_length", "5"], "tokens of it and of a label word are more than the 5 that the model reads"),
        (["--max_seq_length", "5000"], "max_seq_length 5000 is longer than the 512 positions of"),
    ],
)
def test_what_does_not_fit_rows_or_model_is_one_line(flags, complaint, questions, refuse):
    said = refuse(*questions(slice(0, 60), slice(60, 80)), *flags)
    assert complaint in said.splitlines()[0]


def test_a_model_that_continues_no_text_is_refused(questions, refuse, byte_tokenizer, tmp_path):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=258, **sizes)).save_pretrained(tmp_path / "bert")
    byte_tokenizer.save_pretrained(tmp_path / "bert")
    said = refuse(*questions(slice(0, 30), slice(30, 40)), model=str(tmp_path / "bert"))
    assert "is a bert, which continues no text: prompts are for causal models and encoder-decoders" in said
