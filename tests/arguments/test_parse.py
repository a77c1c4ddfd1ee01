import subprocess
import sys
from pathlib import Path

import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.layers import find_recipe, recipe_names
from hf_strategies.arguments.tuning_topics import FINETUNE, JOB_TOPICS, PRETRAIN, SCORE
from hf_strategies.errors import UserError
from hf_strategies.optimizers import OPTIMIZERS

ROOT = Path(__file__).parents[2]


def parse(*argv: str):
    return parse_arguments(argv, description="A test.", default_recipe="pretrain")


def lines_of(*argv: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        parse(*argv)
    return str(caught.value).splitlines()


def test_the_default_recipe_is_used_when_none_is_named():
    arguments = parse()
    assert (arguments.name, arguments.recipe) == ("pretrain", "pretrain")
    assert arguments.strategy.optimizer == "muon"
    assert arguments.values["optimizer"].where.startswith("recipe pretrain:")


def test_flag_beats_yaml_beats_recipe_beats_default(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("learning_rate: 2e-3\nweight_decay: 0.05\n")
    arguments = parse(str(path), "--learning_rate", "1e-3")
    assert arguments.training["learning_rate"] == 1e-3
    assert arguments.training["weight_decay"] == 0.05
    assert arguments.strategy.scheduler == "linear"
    assert arguments.data.text_column == "text"
    wheres = {name: arguments.values[name].where for name in ("learning_rate", "weight_decay")}
    assert wheres == {"learning_rate": "--learning_rate", "weight_decay": f"{path}:2"}
    assert arguments.name == "mine"


def test_a_file_may_name_the_recipe_it_stands_on(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("recipe: pretrain\n")
    assert parse(str(path)).name == "pretrain"
    path.write_text("recipe: pretrian\n")
    assert lines_of(str(path))[0] == (
        f"{path}:1: unknown recipe 'pretrian', did you mean 'pretrain'? (known: {', '.join(recipe_names(PRETRAIN))})"
    )


def test_every_mistake_is_reported_at_once(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("leraning_rate: 1\noptimizer: mounn\nhidden_size: 100\nnum_attention_heads: 7\n")
    assert lines_of(
        str(path), "--scheduler_kwargs", "min_lr=1", "--warmup_steps", "-1", "--bf16", "--fp16", "more"
    ) == [
        "more: expected one recipe or YAML file, then --flags",
        f"{path}:1: unknown setting 'leraning_rate', did you mean 'learning_rate'?",
        "--bf16: bf16 and fp16 cannot both be given; choose one",
        f"{path}:2: unknown optimizer 'mounn', did you mean 'muon'? (known: {', '.join(OPTIMIZERS.names())}, "
        "pytorch_optimizer:NAME)",
        f"{path}:4: hidden_size 100 is not divisible by num_attention_heads 7; nearest that divide: 5 and 10",
        "--warmup_steps: warmup_steps must be a whole number of updates in [0, 400], a share of the run in (0, 1), "
        '"2M tokens" or "3 epochs", got -1',
        "--scheduler_kwargs: scheduler 'linear' has no setting 'min_lr', did you mean 'min_lr_ratio'? "
        "(known: min_lr_ratio, warmup_shape, warmup_start)",
    ]


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--optim", "adamw_torch", "--optimizer", "muon"], "optimizer and optim cannot both be given"),
        (["--lr_scheduler_type", "cosine", "--scheduler", "linear"], "scheduler and lr_scheduler_type cannot both"),
        (["--model_name_or_path", "x", "--architecture", "gpt2"], "architecture and model_name_or_path cannot both"),
        (["--model_name_or_path", "x", "--hidden_size", "64"], "hidden_size belongs to architecture"),
        (["--optimizer_kwargs", "momentm=0.9"], "did you mean 'momentum'"),
        (["--adam_beta2", "0.99"], "adam_beta2 belongs to optim"),
        (["--optim", "adafactorr"], "there is no 'adafactorr', did you mean 'adafactor'? (known: adamw_torch, "),
        (["--optim", "lion"], "lion is one of ours: write optimizer for optim"),
        (["--lr_scheduler_type", "one_cycle"], "one_cycle is one of ours: write scheduler for lr_scheduler_type"),
        (["--optimizer", "MUON"], "did you mean 'muon'"),
        (["--optimizer", "sgd", "--optimizer_kwargs", "nesterov=true,momentum=0"], "momentum must be above 0, got 0"),
        (["--max_steps", "10", "--warmup_steps", "20"], "warmup_steps must be"),
        (["--learning_rate", "0"], "learning_rate must be above 0"),
        (["--streaming", "--train_file", "a.txt", "--max_steps", "-1"], "streaming needs max_steps"),
        (["--validation_file", "a.txt"], "validation_file needs train_file"),
        (["--global_batch_size", "0.5M bytes"], "expected sequences"),
        (["--eval_strategy", "sometimes"], "expected one of no, steps, epoch"),
        (["nowhere.yaml"], "no such file"),
        (["--architecture", "none"], "name one, or a checkpoint"),
        (["--train_file", ""], "expected texts (not empty ones)"),
        (["--train_file", "a.txt", "mine.yaml"], "a YAML file of settings comes first on the line"),
        (["--max_steps", "0"], "at least 1, or -1"),
        (["--max_steps", "5", "--num_train_epochs", "1"], "max_steps and num_train_epochs cannot both"),
        (["--num_train_epochs", "inf"], "above 0, and finite"),
        (["--prediction_loss_only"], "does not go with this script"),
        (["--do_train", "false"], "leaves nothing to do"),
        (["--hidden_size", "0"], "--hidden_size: hidden_size must be at least 1, got 0"),
        (["--vocab_size", "none"], "tokenizer bpe needs a vocab_size"),
        (["--optimizer_kwargs", "{1: 2}"], "expected a mapping"),
        (["--config_overrides", "num_attention_heads=7"], "num_attention_heads is a setting of its own"),
        (["--config_overrides", "max_position_embeddings=16"], "a setting of its own: max_seq_length"),
        (["--train_file", "a.txt", "--validation_file", "a.txt"], "must not be trained on"),
        (["--warmup_ratio", "0.1"], "write the share as warmup_steps"),
        (["--train_file", "a", "--validation_file", "b", "--validation_share", "0.1"], "cannot both be given"),
        (["--seed", "-1"], "seed must be at least 0"),
    ],
)
def test_what_cannot_be_is_refused(argv, complaint):
    assert complaint in "\n".join(lines_of(*argv))


def test_a_choice_of_a_higher_layer_drops_the_settings_of_the_lower_one_and_says_so():
    arguments = parse("--architecture", "gpt2")
    assert arguments.model.hidden_size is None
    assert len(arguments.notes) == 1
    assert arguments.notes[0].startswith("architecture gpt2 (--architecture) replaces hidden_size (recipe pretrain:")


def test_epochs_replace_the_recipes_steps_and_back(tmp_path):
    arguments = parse("--num_train_epochs", "3")
    assert "max_steps" not in arguments.training
    assert arguments.notes[0].startswith("num_train_epochs (--num_train_epochs) replaces max_steps (recipe pretrain:")
    path = tmp_path / "mine.yaml"
    path.write_text("num_train_epochs: 3\nfp16: true\n")
    changed = parse(str(path), "--max_steps", "7", "--bf16").training
    assert changed["max_steps"] == 7
    assert not {"num_train_epochs", "fp16"} & changed.keys()


def test_a_wrong_recipe_does_not_hide_the_other_mistakes():
    said = lines_of("pretrian", "--learning_rte", "1")
    assert said[0] == "--learning_rte: unknown setting 'learning_rte', did you mean 'learning_rate'?"
    assert said[1].startswith("unknown recipe 'pretrian', did you mean 'pretrain'?")
    assert len(said) == 2


def test_no_means_no_in_yaml_too(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("eval_strategy: no\nsave_strategy: no\n")
    assert parse(str(path)).training["eval_strategy"] == "no"


def test_validation_files_go_with_the_training_files_that_a_data_set_replaces(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("train_file: a.txt\nvalidation_file: b.txt\n")
    assert parse(str(path), "--dataset_name", "d").data.validation_file is None
    assert parse(str(path), "--train_file", "c.txt").data.validation_file == ["b.txt"]


def test_help_names_every_setting_and_every_strategy(capsys):
    with pytest.raises(SystemExit) as ended:
        parse("--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name in (
        "--max_seq_length",
        "--optimizer ",
        "muon: ",
        "warmup_stable_decay: ",
        "--gradient_accumulation_steps",
    ):
        assert name in text
    assert max(map(len, text.splitlines())) <= 119


@pytest.mark.parametrize("argv", [["--help"], ["--learning_rat", "1"]])
def test_help_and_a_refusal_come_before_torch_is_imported(argv):
    probe = (
        "import sys\n"
        "from hf_strategies.arguments import parse_arguments\n"
        "try:\n"
        f"    parse_arguments({argv!r}, description='', default_recipe='pretrain')\n"
        "except (SystemExit, ValueError):\n"
        "    print('torch' in sys.modules, 'transformers' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr.split() == ["False", "False"]


@pytest.mark.parametrize(("job", "name"), [(job, name) for job in JOB_TOPICS for name in recipe_names(job)])
def test_every_shipped_recipe_parses_and_names_its_sources(job, name):
    own = {"clips_from_scratch": "clip-classification", "text_from_scratch": "text-classification"}
    task = ("--task", own.get(name, "image-classification")) if job == FINETUNE else ()
    assert parse_arguments([name, *task], description="", default_recipe=job, job=job).recipe == name
    assert "http" in find_recipe(name, job).read_text(encoding="utf-8")


def test_help_lists_the_recipes_of_its_own_job(capsys):
    for job, own, other in ((PRETRAIN, "masked", "qlora"), (FINETUNE, "qlora", "masked")):
        with pytest.raises(SystemExit):
            parse_arguments(["--help"], description="", default_recipe=job, job=job)
        introduction = capsys.readouterr().out.partition("Flags override")[0]
        assert own in introduction
        assert other not in introduction


def test_help_of_fine_tuning_lists_what_can_be_named(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--help"], description="", default_recipe=FINETUNE, job=FINETUNE)
    text = capsys.readouterr().out
    for name in ("seq2seq: ", "lora: ", "nf4: ", "aeda: ", "trivial_augment: ", "cutmix: ", "focal: ", "ema: "):
        assert f"        {name}" in text, name
    assert max(map(len, text.splitlines())) <= 119


@pytest.mark.parametrize("job", [FINETUNE, SCORE])
def test_help_of_other_jobs_is_not_pretrainings(job, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--help"], description="", default_recipe=job, job=job)
    text = " ".join(capsys.readouterr().out.split())
    for word in (
        "block at most",
        "blocks at most",
        "Tokens per block",
        "Continue this checkpoint",
        "documents held out",
    ):
        assert word not in text
    for setting in ("--objective", "--isolate_documents", "--streaming"):
        assert setting not in text
    assert ("--tokenizer " in text) == (job == FINETUNE)  # of a model from scratch, trained on its rows
    assert "--validation_share X [0.2]" in text  # as their recipes have it
    assert ("seq2seq: " in text) == (job == FINETUNE)
    assert ("--shots TEXT ... [0 4]" in text) == (job == SCORE)


def test_a_size_may_wait_for_the_recipe_that_brings_its_architecture():
    words = ["--task", "image-classification", "--hidden_size", "64"]
    with pytest.raises(UserError, match="hidden_size belongs to architecture"):
        parse_arguments(words, description="", default_recipe="finetune", job=FINETUNE)
    parse_arguments(words, description="", default_recipe="finetune", job=FINETUNE, recipe_is_open=True)
    chosen = parse_arguments(words, description="", default_recipe="from_scratch", job=FINETUNE)
    assert (chosen.model.architecture, chosen.model.hidden_size) == ("vit", 64)
    with pytest.raises(UserError, match="hidden_size belongs to architecture"):  # nothing else is going to be chosen
        parse_arguments(["full", *words], description="", default_recipe="finetune", job=FINETUNE, recipe_is_open=True)


def test_a_recipe_is_open_only_where_none_is_named(tmp_path):
    def is_named(*words: str) -> bool:
        argv = [*words, "--task", "text-classification"]
        read = parse_arguments(argv, description="", default_recipe="finetune", job=FINETUNE, recipe_is_open=True)
        assert read.recipe == "finetune"
        return read.recipe_is_named

    own = tmp_path / "own.yaml"
    own.write_text("seed: 1\n")
    assert not is_named()
    assert not is_named(str(own))
    assert is_named("finetune")
    own.write_text("recipe: finetune\nseed: 1\n")
    assert is_named(str(own))
