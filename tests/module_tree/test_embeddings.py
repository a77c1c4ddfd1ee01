from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from hf_strategies.module_tree.embeddings import embedding_parameters, input_embeddings

SIZES = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


def test_a_head_of_its_own_is_no_embedding():
    model = LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=False))
    assert input_embeddings(model) == {model.model.embed_tokens.weight}
    assert embedding_parameters(model) == {model.model.embed_tokens.weight, model.lm_head.weight}


def test_a_table_of_positions_is_an_embedding_and_a_tied_head_too():
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=32, n_positions=8, n_embd=16, n_layer=1, n_head=2, **ends))
    assert input_embeddings(model) == {model.transformer.wte.weight, model.transformer.wpe.weight}
    assert embedding_parameters(model) == input_embeddings(model)


def test_embeddings_are_found_inside_a_wrapper():
    model = LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=False))
    assert embedding_parameters(nn.ModuleDict({"wrapped": model})) == embedding_parameters(model)
