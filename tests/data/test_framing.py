import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from hf_strategies.data.framing import Framing
from hf_strategies.data.tokenizers import train_tokenizer
from hf_strategies.errors import UserError


def test_a_tokenizer_without_bos_opens_the_stream_with_eos(bytes_tokenizer):
    framing = Framing.of(bytes_tokenizer)
    assert framing == Framing(eos_token_id=0, bos_token_id=None)
    assert (framing.opening, framing.before, framing.after, framing.marker_offset) == ([0], [], [0], -1)


def test_a_llama_tokenizer_begins_every_document_itself(real_data):
    framing = Framing.of(AutoTokenizer.from_pretrained(real_data("stories260K")))
    assert framing == Framing(eos_token_id=2, bos_token_id=1)
    assert (framing.opening, framing.before, framing.after, framing.marker_offset) == ([], [1], [2], 0)


def test_a_bos_that_the_tokenizer_does_not_put_there_itself_is_not_used(bytes_tokenizer):
    backend = bytes_tokenizer.backend_tokenizer
    named_only = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>", bos_token="<0x01>")
    assert named_only.bos_token_id is not None
    assert Framing.of(named_only).bos_token_id is None


def test_an_encoders_documents_end_with_its_separator_and_have_no_start():
    framing = Framing.of(train_tokenizer("bytes", [], objective="masked"))
    assert framing == Framing(eos_token_id=2, bos_token_id=None)


def test_a_tokenizer_without_eos_is_refused_with_the_cure(bytes_tokenizer):
    without = PreTrainedTokenizerFast(tokenizer_object=bytes_tokenizer.backend_tokenizer)
    with pytest.raises(UserError, match=r"no end-of-text token.*add_special_tokens"):
        Framing.of(without)
