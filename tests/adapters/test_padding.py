import pytest
import torch
from transformers import GPT2Config, GPT2ForSequenceClassification

from hf_strategies.adapters.padding import reads_padding


def gpt2_classifier():
    sizes = {"n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 2}
    return GPT2ForSequenceClassification(GPT2Config(vocab_size=64, **sizes, num_labels=3, pad_token_id=0))


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "llama classifier", "gpt2 classifier"])
def test_padding_is_read_where_a_padded_row_has_other_scores_than_alone(name, tiny_model):
    torch.manual_seed(0)
    model = (gpt2_classifier() if name == "gpt2 classifier" else tiny_model(name)).eval()
    row = model.get_input_embeddings()(torch.tensor([[5, 6, 7, 0, 0]])).detach()
    with torch.no_grad():
        alone = model(inputs_embeds=row[:, :3], attention_mask=torch.ones(1, 3)).logits
        padded = model(inputs_embeds=row, attention_mask=torch.tensor([[1, 1, 1, 0, 0]])).logits
    assert torch.allclose(alone, padded, atol=1e-5) == (not reads_padding(model)) == ("classifier" not in name)
