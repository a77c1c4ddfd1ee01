import re
import subprocess
import sys
from pathlib import Path

import pytest

from hf_strategies.__main__ import SHELVES, main


def test_list_shows_every_shelf(capsys):
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for name in (*SHELVES, "pretrain_recipes", "finetune_recipes", "transformer_pp", "muon", "cutmix", "qlora"):
        assert re.search(rf"^ *{name}\b", shown, re.MULTILINE), name


@pytest.mark.parametrize("name", sorted({entry.name for shelf in SHELVES.values() for entry in shelf}))
def test_whatever_is_listed_is_shown(name, capsys):
    assert main(["show", name]) == 0
    assert f" {name}\n  summary: " in capsys.readouterr().out


def test_show_tells_what_is_known_about_one_entry(capsys):
    assert main(["show", "lion"]) == 0
    shown = capsys.readouterr().out
    assert "optimizer lion" in shown
    assert "https://arxiv.org/abs/2302.06675" in shown
    assert main(["show", "pretrain"]) == 0
    assert re.search(r"^architecture +transformer_pp$", capsys.readouterr().out, re.MULTILINE)


def test_the_recipes_of_all_scripts_are_listed_with_theirs(capsys):
    assert main(["list", "recipes"]) == 0
    shown = capsys.readouterr().out
    for recipe, job in (
        ("gpt3_125m", "pretrain"),
        ("vit_b16_imagenet", "finetune"),
        ("sentiment", "score"),
        ("compare_architecture", "compare"),
    ):
        assert re.search(rf"^ +{recipe} +{job} +\w", shown, re.MULTILINE), recipe


def test_settings_are_shown_with_their_defaults_and_their_meaning(capsys):
    assert main(["show", "cosine"]) == 0
    shown = capsys.readouterr().out
    assert "  settings:\n    min_lr_ratio = 0.0: a number in [0, 1]\n    num_cycles = 0.5: " in shown
    assert "Follow a cosine of `num_cycles` whole waves" in shown


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "step",
            ["step_size (required): updates, a share of", "warmup_shape = linear: one of linear, cosine"],
        ),
        ("warmup_stable_decay", ["num_decay_steps (required)", "decay_shape = one_minus_sqrt: one of linear, cosine"]),
        ("sequence", ["phases (required): a list of phases"]),
        ("one_cycle", ["num_rise_steps = 0.3: updates"]),
        ("muon", ["scaling = rms: one of rms, spectral"]),
    ],
)
def test_what_must_be_set_and_what_it_may_be_is_shown(name, lines, capsys):
    assert main(["show", name]) == 0
    shown = capsys.readouterr().out
    for line in lines:
        assert f"\n    {line}" in shown


def test_what_a_plateau_follows_is_said(capsys):
    assert main(["show", "reduce_on_plateau"]) == 0
    assert "metric_for_best_model" in capsys.readouterr().out


def test_what_an_optimizer_keeps_is_said_in_words(capsys):
    assert main(["show", "lion"]) == 0
    assert "  state bytes: one buffer of the parameter's size and dtype\n" in capsys.readouterr().out


def test_a_family_is_listed_and_any_member_is_shown(capsys):
    assert main(["list", "optimizers"]) == 0
    assert "pytorch_optimizer:NAME" in capsys.readouterr().out
    pytest.importorskip("pytorch_optimizer")
    assert main(["show", "pytorch_optimizer:Adan"]) == 0
    shown = capsys.readouterr().out
    assert "optimizer pytorch_optimizer:Adan" in shown
    assert "package: pytorch_optimizer" in shown
    assert "\n    betas = 0.98, 0.92, 0.99\n" in shown
    assert main(["show", "pytorch_optimizer:Adn"]) == 2
    assert "pytorch_optimizer has no optimizer 'Adn', did you mean 'A" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [(["list", "optimisers"], "did you mean 'optimizers'"), (["show", "moun"], "did you mean 'muon'")],
)
def test_a_typo_is_answered(words, complaint, capsys):
    assert main(words) == 2
    assert complaint in capsys.readouterr().err


def test_anything_else_prints_the_manual(capsys):
    assert main(["--help"]) == 0
    assert main(["sing"]) == 2
    assert capsys.readouterr().out.count("python -m hf_strategies list") == 6


def test_it_runs_as_a_module_without_importing_torch():
    code = "import sys, hf_strategies.__main__ as m; m.main(['list']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1], capture_output=True)
