from transformers import PrinterCallback, Trainer

from hf_strategies.callbacks.parameter_groups import ParameterGroupsCallback
from hf_strategies.optimizers import OptimizerFactory


def printed(tiny_lm, token_rows, arguments, capsys, **optimizer) -> list[list[str]]:
    trainer = Trainer(
        tiny_lm, arguments(max_steps=1), train_dataset=token_rows, callbacks=[ParameterGroupsCallback()], **optimizer
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    lines = capsys.readouterr().out.splitlines()
    (start,) = [number for number, line in enumerate(lines) if "learning rate" in line]
    return [line.split() for line in lines[start + 2 :]]


def test_a_plain_trainer_shows_what_our_factory_made(tiny_lm, token_rows, arguments, capsys):
    settings = {"name": "muon", "lr": 1e-2, "weight_decay": 0.1, "adamw_lr": 3e-2}
    settings["param_groups"] = {"decay_embeddings": False}
    factory = (OptimizerFactory, settings)
    assert printed(tiny_lm, token_rows, arguments, capsys, optimizer_cls_and_kwargs=factory) == [
        ["matrices", "14", "5,120", "0.01", "0.1", "muon"],  # 2 x (4 x 16 x 16 + 3 x 16 x 32)
        ["embeddings", "1", "4,128", "0.03", "0", "adamw"],  # 258 x 16
        ["vectors", "5", "80", "0.03", "0", "adamw"],
        ["head", "1", "4,128", "0.03", "0.1", "adamw"],
    ]


def test_the_hosts_own_optimizer_is_shown_too(tiny_lm, token_rows, arguments, capsys):
    assert printed(tiny_lm, token_rows, arguments, capsys) == [
        ["group", "0", "16", "13,376", "5e-5", "0", "AdamW"],
        ["group", "1", "5", "80", "5e-5", "0", "AdamW"],
    ]
