import numpy as np
import pytest
import torch

from hf_strategies.data.masked_blocks import MaskedBlocks
from hf_strategies.data.maskings import MaskingRequest
from hf_strategies.data.packing import PackedBlocks
from hf_strategies.data.token_stream import TokenStream
from hf_strategies.data.tokenizers import train_tokenizer
from hf_strategies.runs.prompts import PROMPT_TOKENS, gap_prompts, split_prompts

TEXT = "first line\nsecond line, the prompt |and how it goes on\n"


def test_prompts_begin_with_a_line_and_references_go_on_from_them():
    tokenizer = train_tokenizer("bytes", [TEXT], None)
    ids = tokenizer(TEXT * 2, return_tensors="pt")["input_ids"][0]
    blocks = [{"input_ids": ids[:72]} for _ in range(10)]
    prompts, references = split_prompts(blocks, tokenizer, count=2, reference_tokens=7)
    assert prompts == ["second line, the prompt |"] * 2
    assert references == ["and how"] * 2


def test_fewer_blocks_give_fewer_prompts_and_a_single_line_stays_whole():
    tokenizer = train_tokenizer("bytes", [TEXT], None)
    prompts, _ = split_prompts(
        [{"input_ids": torch.tensor(tokenizer("abcdef")["input_ids"])}], tokenizer, count=3, reference_tokens=2
    )
    assert prompts == ["abc"]


@pytest.mark.parametrize("objective", ["masked", "span"])
def test_gaps_and_what_stood_in_them_are_the_text_again(objective):
    tokenizer = train_tokenizer("bytes", [], objective=objective)
    ids = np.array(tokenizer(TEXT * 10, add_special_tokens=False).input_ids)
    stream = TokenStream(ids, np.array([0]), np.array([len(ids)]), np.array([len(ids)]))
    masking = MaskingRequest(objective=objective, seed=0).build(tokenizer, 64)
    blocks = MaskedBlocks(PackedBlocks(stream, masking.tokens_per_block, pad_token_id=0, overlap=0), masking, seed=0)
    prompts, references = gap_prompts(blocks, tokenizer, count=2)
    assert (prompts, references) == gap_prompts(blocks, tokenizer, count=2)
    for prompt, reference, index in zip(prompts, references, (len(blocks) // 4, 3 * len(blocks) // 4), strict=True):
        text = tokenizer.decode(blocks.blocks.tokens(index)[:PROMPT_TOKENS].tolist())
        if objective == "masked":
            assert reference == text
            shown = prompt.split("[MASK]")
            assert len(shown) == 1 + round(0.15 * PROMPT_TOKENS)
            assert len("".join(shown)) == PROMPT_TOKENS - (len(shown) - 1)
        else:
            for mark in ("<extra_id_0>", "<extra_id_1>"):
                _, _, gap = reference.partition(mark)
                prompt = prompt.replace(mark, gap.partition("<")[0])
            assert prompt == text
