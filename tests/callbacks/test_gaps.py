import copy

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, T5Config, T5ForConditionalGeneration, Trainer

from hf_strategies.callbacks.gaps import fill_masks, fill_spans
from hf_strategies.callbacks.samples import SamplePrinterCallback
from hf_strategies.data.tokenizers import train_tokenizer


@pytest.fixture(scope="module")
def masked():
    """A random encoder of bytes, and its tokenizer."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = BertForMaskedLM(BertConfig(vocab_size=260, max_position_embeddings=64, pad_token_id=0, **sizes))
    return model.eval(), train_tokenizer("bytes", [], objective="masked")


def test_each_mask_becomes_the_likeliest_token_and_the_rest_stays(masked):
    model, tokenizer = masked
    with torch.no_grad():
        model.cls.predictions.bias[4 + ord("x")] = 100.0
    assert fill_masks(model, tokenizer, "a[MASK]c and [MASK]") == "axc and x"


def test_what_is_written_for_spans_stands_behind_their_marks():
    tokenizer = train_tokenizer("bytes", [], objective="span")
    torch.manual_seed(0)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "dropout_rate": 0.0}
    tokens = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    model = T5ForConditionalGeneration(T5Config(vocab_size=358, **sizes, **tokens))
    asked, answer = "a <extra_id_0> c", "<extra_id_0>b"
    inputs = tokenizer(asked, return_tensors="pt")
    labels = tokenizer(answer, return_tensors="pt").input_ids
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        model(**inputs, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert fill_spans(model, tokenizer, asked, max_new_tokens=8) == answer


def test_an_encoder_that_cannot_generate_prints_what_it_fills_in(masked, token_rows, arguments, capsys):
    model, tokenizer = copy.deepcopy(masked[0]), masked[1]
    printer = SamplePrinterCallback(["a[MASK]c"], references=["abc"], answer=fill_masks)
    Trainer(
        model, arguments(max_steps=1), train_dataset=token_rows, processing_class=tokenizer, callbacks=[printer]
    ).train()
    said = capsys.readouterr().out
    assert said.count("prompt | a[MASK]c") == 2
    assert said.count("text | abc") == 2
