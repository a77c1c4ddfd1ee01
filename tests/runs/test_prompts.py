import torch

from hf_strategies.data.tokenizers import train_tokenizer
from hf_strategies.runs.prompts import split_prompts

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
