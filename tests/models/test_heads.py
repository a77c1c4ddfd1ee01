import pytest
from transformers import AlbertConfig, BertConfig, GPT2Config, LlamaConfig, MBartConfig, T5Config, ViTConfig

from hf_strategies.errors import UserError
from hf_strategies.models.factory import load_config
from hf_strategies.models.heads import check_head, pretraining_objective


@pytest.mark.parametrize(
    ("config", "objective"),
    [
        (LlamaConfig(), "causal"),
        (GPT2Config(), "causal"),
        (BertConfig(), "masked"),
        (BertConfig(is_decoder=True), "causal"),
        (AlbertConfig(), "masked"),
        (T5Config(), "span"),
        (MBartConfig(), "span"),  # the host has all three heads for it
        (ViTConfig(), None),
    ],
    ids=lambda value: getattr(value, "model_type", value),
)
def test_the_objective_follows_from_how_a_model_reads(config, objective):
    assert pretraining_objective(config) == objective


@pytest.mark.parametrize(
    ("config", "head", "complaint"),
    [
        (BertConfig(), "causal", r"needs a decoder, and this is an encoder \(objective masked fits it\)$"),
        (T5Config(), "masked", r"and this is an encoder and a decoder \(objective span fits it\)$"),
        (LlamaConfig(), "seq2seq", r"needs an encoder and a decoder, and this is a decoder \("),
        (ViTConfig(), "causal", "is a vit: a causal head needs a decoder$"),
        (ViTConfig(), "sequence-classification", r"no head for sequence-classification \(it has: image-cl"),
        (BertConfig(), "image-classification", r"is a bert, which has no head for image-classification \("),
    ],
)
def test_a_checkpoint_that_cannot_have_a_head_is_refused_with_the_objective_that_fits(
    config, head, complaint, tmp_path
):
    config.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=complaint):
        load_config(str(tmp_path), head=head)


def test_classification_heads_go_on_bodies_of_every_kind():
    for config in (LlamaConfig(), BertConfig(), T5Config()):
        check_head(config, "sequence-classification", "it")
    check_head(ViTConfig(), "image-classification", "it")
