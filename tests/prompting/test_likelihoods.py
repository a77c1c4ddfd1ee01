import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from hf_strategies.prompting.likelihoods import keeps_prompts, word_log_likelihoods
from hf_strategies.prompting.prompts import Prompt

PAD, VOCAB = 0, 40
WINDOWS = {"mistral": 64, "sliding mistral": 4}  # longer than the prompts, and shorter
KEEPING = ("gpt2", "mistral")


def decoder(kind: str):
    torch.manual_seed(0)
    if kind == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(vocab_size=VOCAB, n_embd=16, n_layer=2, n_head=2, n_positions=32))
    elif kind in ("mistral", "sliding mistral"):
        sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        model = MistralForCausalLM(
            MistralConfig(vocab_size=VOCAB, num_key_value_heads=2, sliding_window=WINDOWS[kind], head_dim=8, **sizes)
        )
    else:
        model = MambaForCausalLM(MambaConfig(vocab_size=VOCAB, hidden_size=16, num_hidden_layers=2, state_size=4))
    with torch.no_grad():  # far from uniform, so that a wrong place shows
        for param in model.parameters():
            param.add_(0.3 * torch.randn_like(param))
    return model.eval()


@pytest.fixture
def encoder_decoder():
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=VOCAB, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=0,
        pad_token_id=PAD,
    )  # fmt: skip
    return T5ForConditionalGeneration(config).eval()


def drawn_prompts(*, shared: int = 0, same_length_words: bool = False) -> list[Prompt]:
    """Seven prompts of 3 to 9 own tokens behind a common start, three words of one to three tokens."""
    random = torch.Generator().manual_seed(1)

    def tokens(count: int) -> list[int]:
        return torch.randint(1, VOCAB, (count,), generator=random).tolist()

    start = tokens(shared)
    words = [tokens(1 if same_length_words else length) for length in (1, 2, 3)]
    return [Prompt([*start, *tokens(3 + row)], words) for row in (4, 0, 6, 2, 1, 5, 3)]


def one_by_one(model, prompts: list[Prompt]) -> torch.Tensor:
    """The textbook: a plain call for each prompt with each word, and no padding."""
    scores = torch.empty(len(prompts), len(prompts[0].endings), dtype=torch.float64)
    for row, prompt in enumerate(prompts):
        for column, ending in enumerate(prompt.endings):
            if model.config.is_encoder_decoder:
                asked = {"input_ids": torch.tensor([prompt.context])}
                logits = model(**asked, decoder_input_ids=torch.tensor([[0, *ending[:-1]]])).logits[0]
            else:
                logits = model(input_ids=torch.tensor([[*prompt.context, *ending]])).logits[0]
                logits = logits[len(prompt.context) - 1 : -1]
            logged = logits.log_softmax(dim=-1)
            scores[row, column] = sum(logged[place, token] for place, token in enumerate(ending)).item()
    return scores


@pytest.mark.parametrize("batch_size", [1, 6, 1000])
@pytest.mark.parametrize("prompts", [{}, {"shared": 6}, {"shared": 6, "same_length_words": True}], ids=str)
@pytest.mark.parametrize("kind", [*KEEPING, "sliding mistral", "mamba"])
def test_a_decoders_likelihoods_are_those_of_plain_calls(kind, prompts, batch_size):
    model, asked = decoder(kind), drawn_prompts(**prompts)
    assert keeps_prompts(model, longest=18) == (kind in KEEPING)
    with torch.no_grad():
        expected = one_by_one(model, asked)
    found = word_log_likelihoods(model, asked, pad_token_id=PAD, batch_size=batch_size)
    torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("batch_size", [1, 6, 1000])
def test_an_encoder_decoders_likelihoods_are_those_of_plain_calls(encoder_decoder, batch_size):
    asked = drawn_prompts()
    with torch.no_grad():
        expected = one_by_one(encoder_decoder, asked)
    found = word_log_likelihoods(encoder_decoder, asked, pad_token_id=PAD, batch_size=batch_size)
    torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-5, rtol=0)


def test_a_prompt_that_is_the_start_of_another_is_scored_from_its_own_last_token():
    model = decoder("gpt2")
    asked = [Prompt([5, 6, 7], [[1], [2, 3]]), Prompt([5, 6, 7, 8, 9], [[1], [2, 3]]), Prompt([5], [[1], [2, 3]])]
    with torch.no_grad():
        expected = one_by_one(model, asked)
    found = word_log_likelihoods(model, asked, pad_token_id=PAD, batch_size=100)
    torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-5, rtol=0)


def test_prompts_are_read_once_however_many_words_there_are():
    """Eight tokens shared by three rows, two of each row's own, and one that a word of two tokens adds."""
    model, read = decoder("gpt2"), []
    model.register_forward_pre_hook(lambda *call: read.append(tuple(call[2]["input_ids"].shape)), with_kwargs=True)
    start = list(range(1, 9))
    asked = [Prompt([*start, row, row], [[1, 2], [3, 4], [5, 6], [7, 8]]) for row in (11, 12, 13)]
    word_log_likelihoods(model, asked, pad_token_id=PAD, batch_size=12)
    assert read == [(1, 8), (3, 2), (12, 1)]
