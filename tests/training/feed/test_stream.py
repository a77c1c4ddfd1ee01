import copy

import pytest
import torch

from hf_strategies.data.framing import Framing
from hf_strategies.data.streaming import REMEMBERED_BATCHES, StreamingBlocks
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.feed.stream import SeekableStream

TEXTS = [str(number) for number in range(325)]  # with their ends 1,190 tokens, and one before them
NUM_BLOCKS = 80  # of 16 tokens, 15 of them predicted: ten updates of 2 x 4


@pytest.fixture
def make_stream(byte_tokenizer):
    """Build a stream that notes from which documents on it was read."""

    def make(texts=TEXTS) -> StreamingBlocks:
        def read_texts(start):
            stream.starts.append(start)
            return iter(texts[start:])

        tokenizer_json = byte_tokenizer.backend_tokenizer.to_str()
        stream = StreamingBlocks(read_texts, tokenizer_json, Framing(256, None), 16, pad_token_id=257)
        stream.starts = []
        return stream

    return make


@pytest.mark.parametrize("used", [0, 1, 30, 60])
def test_blocks_after_a_seek_follow_stand_ins_for_those_before(make_stream, used):
    straight = list(make_stream())
    first = SeekableStream(make_stream())
    reader = iter(first)
    for _ in range(used + 5):  # a data loader is ahead of training
        next(reader)
    second = SeekableStream(make_stream())
    second.seek(first.place(used), used)
    blocks = list(second)
    assert len(blocks) == len(straight) == NUM_BLOCKS
    for ours, theirs in zip(blocks[used:], straight[used:], strict=True):
        assert torch.equal(ours["input_ids"], theirs["input_ids"])
    assert len(list(second)) == NUM_BLOCKS  # the pass after it starts afresh
    assert second.stream.starts[-1] == 0


@pytest.mark.parametrize("skipped", [0, 20])
def test_a_pass_is_over_once_its_last_block_was_drawn_and_used(make_stream, skipped):
    reader, stream = SeekableStream(make_stream()), SeekableStream(make_stream())
    list(reader)
    stream.seek(reader.place(skipped), skipped)
    for count, _ in enumerate(stream, start=1):
        assert not stream.is_over(count)  # there may be more
    assert [stream.is_over(used) for used in (NUM_BLOCKS - 1, NUM_BLOCKS, NUM_BLOCKS + 3)] == [False, True, True]
    next(iter(stream))
    assert not stream.is_over(NUM_BLOCKS)


def test_a_place_too_far_back_is_not_known(make_stream):
    stream = SeekableStream(make_stream(["x"] * 64 * (REMEMBERED_BATCHES + 1)))
    list(stream)
    assert stream.place(1) is None


def train(model, args, stream, **resume) -> StrategyTrainer:
    model = copy.deepcopy(model)
    model.seen = []
    model.register_forward_pre_hook(
        lambda module, _, kwargs: module.seen.extend(kwargs["input_ids"].tolist()), with_kwargs=True
    )
    trainer = StrategyTrainer(model, args, train_dataset=stream)
    trainer.train(**resume)
    return trainer


def history(trainer) -> list[dict]:
    return [{k: v for k, v in row.items() if "per_second" not in k} for row in trainer.state.log_history[:-1]]


@pytest.mark.parametrize(
    ("num_documents", "step", "starts"),
    [
        (325, 3, [64, 0]),  # within the first pass
        (325, 10, [0]),  # at its end
        (316, 10, [0]),  # at the end of one whose last batch was short: 77 blocks
        (325, 14, [128]),  # within the second
    ],
)
def test_a_resumed_run_is_the_uninterrupted_one_and_reads_from_where_it_stood(
    make_stream, tiny_lm, arguments, tmp_path, num_documents, step, starts
):
    args = arguments(max_steps=15)
    straight = train(tiny_lm, args, make_stream(TEXTS[:num_documents]))
    stream = make_stream(TEXTS[:num_documents])
    resumed = train(tiny_lm, args, stream, resume_from_checkpoint=f"{tmp_path}/out/checkpoint-{step}")
    assert resumed.model.seen == straight.model.seen[-len(resumed.model.seen) :]
    assert history(resumed) == history(straight)
    for ours, theirs in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert stream.starts == starts
