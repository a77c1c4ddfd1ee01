import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from transformers import BertConfig, BertForSequenceClassification

from hf_strategies.module_tree.names import named_parameters, nearest_names


def classifier() -> BertForSequenceClassification:
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    return BertForSequenceClassification(BertConfig(vocab_size=32, **sizes))


class Wrapper(nn.Module):
    """Holds a model as DDP does, in `module`."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


def test_wrappers_do_not_show_in_names():
    model = classifier()
    bare = [name for name, _ in model.named_parameters()]
    assert list(named_parameters(Wrapper(model))) == bare
    assert list(named_parameters(torch.compile(model))) == bare
    assert list(named_parameters(Wrapper(torch.compile(model)))) == bare
    model.bert.encoder.layer[0] = torch.compile(model.bert.encoder.layer[0])
    model.bert.encoder.layer[1] = checkpoint_wrapper(model.bert.encoder.layer[1])
    assert list(named_parameters(model)) == bare


def test_names_inside_peft_begin_as_the_models_do():
    model = get_peft_model(classifier(), LoraConfig(r=2, target_modules=["query"], task_type="SEQ_CLS"))
    names = list(named_parameters(model))
    assert "bert.encoder.layer.0.attention.self.query.lora_A.default.weight" in names
    assert "classifier.modules_to_save.default.weight" in names
    assert all(name.startswith(("bert.", "classifier.")) for name in names)


def test_the_nearest_names_are_each_of_another_kind():
    names = [f"layer.{number}.{part}" for number in (0, 1) for part in ("query", "key", "value")]
    assert nearest_names("qurey", names)[0] == "layer.0.query"
    assert nearest_names("layer.9.key", names)[0] == "layer.0.key"
    assert len(nearest_names("key", names)) == 3
