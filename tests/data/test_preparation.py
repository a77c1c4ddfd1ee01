import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import zstandard
from transformers import ByT5Tokenizer

from hf_strategies.data import TextSource, TokenizerRequest, prepare_text
from hf_strategies.data.maskings import MASKINGS, MaskingRequest
from hf_strategies.errors import UserError

ROOT = Path(__file__).parents[2]
TEXTS = [f"document number {number} says {number * 7919}" for number in range(400)]
OPTIONS = {"block_size": 16, "num_workers": 1}


@pytest.fixture
def source(tmp_path):
    def write(texts=TEXTS, name="data.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        return TextSource(files=(str(path),))

    return write


def test_no_byte_of_the_text_is_lost(source, bytes_tokenizer):
    prepared = prepare_text(source(), tokenizer=bytes_tokenizer, **OPTIONS)
    train, validation = prepared.report.sides["train"], prepared.report.sides["validation"]
    assert train.documents + validation.documents == len(TEXTS)
    assert train.bytes + validation.bytes == sum(map(len, TEXTS))
    assert train.tokens == train.bytes + train.documents + 1  # one token per byte, one EOS per document, one in front
    for blocks, side in ((prepared.train, train), (prepared.validation, validation)):
        labels = [label for i in range(len(blocks)) for label in blocks[i]["labels"].tolist() if label != -100]
        assert len(labels) == side.tokens - 1 == blocks.num_predicted_tokens
        documents = bytes(label - 1 if label else 0 for label in labels).decode().split("\0")[:-1]
        assert documents == [text for text in TEXTS if text in set(documents)]
        assert len(documents) == side.documents


def test_a_second_run_reads_the_cache_until_content_tokenizer_or_split_change(source, bytes_tokenizer):
    def from_cache(texts=TEXTS, tokenizer=bytes_tokenizer, **options):
        prepared = prepare_text(source(texts), tokenizer=tokenizer, **{**OPTIONS, **options})
        return prepared.report.from_cache

    chars = TokenizerRequest(kind="chars")
    assert not from_cache()
    assert from_cache()
    assert from_cache(block_size=8, isolate_documents=True, max_eval_blocks=2)
    assert not from_cache([*TEXTS, "one more"])
    assert not from_cache(tokenizer=chars)
    assert from_cache(tokenizer=chars)
    assert not from_cache(validation_share=0.2)
    assert from_cache()


def test_a_tokenizer_is_trained_on_the_training_side_only(source):
    # Each text has a letter of its own, so the vocabulary tells which texts the tokenizer has seen.
    texts = [chr(0x4E00 + number) * 20 for number in range(200)]
    prepared = prepare_text(source(texts), tokenizer=TokenizerRequest(kind="chars"), **OPTIONS)
    sides = prepared.report.sides
    assert sides["validation"].documents >= 3
    assert len(prepared.tokenizer) == 257 + sides["train"].documents
    assert sides["validation"].tokens == sides["validation"].documents * (60 + 1) + 1  # unseen: three bytes each


def test_broken_records_are_reported_also_from_the_cache(source, bytes_tokenizer, tmp_path):
    good = source(TEXTS)
    path = Path(good.files[0])
    path.write_text(path.read_text() + "{broken\n")
    for _ in range(2):
        report = prepare_text(good, tokenizer=bytes_tokenizer, **OPTIONS).report
        assert "skipped 1 broken of 401 records:\n  " in report.summary()
        assert f"{path}:401 not JSON" in report.broken
    assert report.from_cache
    with pytest.raises(UserError, match="1 of 401 records are broken"):
        prepare_text(good, tokenizer=bytes_tokenizer, max_broken_share=0.001, **OPTIONS)


def test_too_many_broken_records_leave_nothing_in_the_cache(source, bytes_tokenizer, own_cache):
    path = Path(source().files[0])
    path.write_text(path.read_text() + "{broken\n" * 5)
    with pytest.raises(UserError, match="5 of 405 records are broken"):
        prepare_text(TextSource(files=(str(path),)), tokenizer=bytes_tokenizer, **OPTIONS)
    assert [found.suffix for found in (own_cache / "tokens").iterdir()] == [".lock"]


def test_two_processes_that_start_together_prepare_once_and_agree(source, own_cache):
    path = source().files[0]
    code = (
        "from hf_strategies.data import *; import hashlib\n"
        f"p = prepare_text(TextSource(files=({path!r},)), tokenizer=TokenizerRequest(vocab_size=300), block_size=16)\n"
        "print(p.report.from_cache, hashlib.sha256(p.train.stream.ids.tobytes()).hexdigest(), len(p.train))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = sorted(process.communicate()[0].split() for process in started)
    assert [answer[0] for answer in answers] == ["False", "True"]
    assert answers[0][1:] == answers[1][1:]


@pytest.mark.parametrize("kind", ["bytes", "chars"])
def test_a_streamed_run_trains_and_evaluates_on_the_same_blocks(source, kind):
    whole = prepare_text(source(), tokenizer=TokenizerRequest(kind=kind), **OPTIONS)
    streamed = prepare_text(source(), tokenizer=TokenizerRequest(kind=kind), streaming=True, **OPTIONS)
    assert streamed.tokenizer.backend_tokenizer.to_str() == whole.tokenizer.backend_tokenizer.to_str()
    ours = [block["input_ids"].tolist() for block in islice(streamed.train, 10_000)]
    assert ours == [whole.train[i]["input_ids"].tolist() for i in range(len(whole.train))]
    assert len(streamed.validation) == min(len(whole.validation), 256)
    assert streamed.validation[0]["labels"].tolist() == whole.validation[0]["labels"].tolist()
    assert set(streamed.report.sides) == {"validation"}


@pytest.mark.parametrize("shape", ["jsonl", "jsonl.zst with meta", "folder of the host library"])
def test_web_pages_are_streamed_as_they_are_read_whole_in_the_shapes_of_c4_and_the_pile(shape, real_data, tmp_path):
    path = real_data("pretrain_jsonl/c4_demo.jsonl")
    whole = prepare_text(TextSource(files=(str(path),)), tokenizer=TokenizerRequest(kind="bytes"), **OPTIONS)
    pages = [{**json.loads(line), "meta": {"pile_set_name": "Pile-CC"}} for line in path.read_text().splitlines()]
    source = TextSource(files=(str(path),))
    if shape != "jsonl":
        (tmp_path / "set").mkdir()
        packed = zstandard.compress("".join(json.dumps(page) + "\n" for page in pages).encode())
        (tmp_path / "set" / "train.jsonl.zst").write_bytes(packed)
        source = TextSource(files=(str(tmp_path / "set" / "train.jsonl.zst"),))
    if shape == "folder of the host library":
        source = TextSource(dataset_name=str(tmp_path / "set"))
    streamed = prepare_text(source, tokenizer=TokenizerRequest(kind="bytes"), streaming=True, **OPTIONS)
    ours = [block["input_ids"].tolist() for block in islice(streamed.train, 2_000)]
    assert ours == [whole.train[i]["input_ids"].tolist() for i in range(2_000)]
    assert streamed.validation[0]["labels"].tolist() == whole.validation[0]["labels"].tolist()


def test_a_validation_set_smaller_than_one_block_is_refused(source, bytes_tokenizer):
    with pytest.raises(UserError, match=r"validation set smaller than one block: 14 tokens in 1 documents, 16 tokens"):
        prepare_text(source(), source(["twelve bytes"], "held_out.jsonl"), tokenizer=bytes_tokenizer, **OPTIONS)


def test_a_tokenizer_without_a_tokenizer_json_is_refused(source):
    with pytest.raises(UserError, match=r"ByT5Tokenizer has no tokenizer\.json"):
        prepare_text(source(), tokenizer=ByT5Tokenizer(), **OPTIONS)


def test_a_streamed_run_is_bounded_by_its_steps(source, bytes_tokenizer):
    with pytest.raises(UserError, match="max_steps"):
        prepare_text(source(), tokenizer=bytes_tokenizer, streaming=True, max_train_blocks=3, **OPTIONS)


def test_a_real_checkpoints_tokenizer_frames_every_document(real_data):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(real_data("stories260K"))
    source = TextSource(files=(str(real_data("tinyshakespeare/input.txt")),))
    prepared = prepare_text(source, tokenizer=tokenizer, block_size=256, num_workers=1, max_eval_blocks=4)
    ids = prepared.train.stream.ids
    starts = prepared.train.stream.document_starts
    assert (ids[starts] == tokenizer.bos_token_id).all()
    assert (ids[starts[1:] - 1] == tokenizer.eos_token_id).all()
    assert len(starts) == prepared.report.sides["train"].documents > 6_000
    assert tokenizer.decode(ids[1 : starts[1] - 1].tolist()) in Path(source.files[0]).read_text()
    assert len(prepared.validation) == 4


def test_a_streamed_run_tells_the_broken_records_of_its_pass(source, bytes_tokenizer):
    path = Path(source().files[0])
    path.write_text("{broken\n" + path.read_text())
    streamed = prepare_text(TextSource(files=(str(path),)), tokenizer=bytes_tokenizer, streaming=True, **OPTIONS)
    for _ in range(2):
        next(iter(streamed.train))
        assert streamed.train.broken.summary().startswith("skipped 1 broken of ")
        assert f"{path}:1 not JSON" in streamed.train.broken.summary()


def test_no_blocks_to_evaluate_on_are_refused_also_when_streaming(source, bytes_tokenizer):
    with pytest.raises(UserError, match="number of validation blocks must be at least 1, got 0"):
        prepare_text(source(), tokenizer=bytes_tokenizer, streaming=True, max_eval_blocks=0, **OPTIONS)


@pytest.mark.parametrize("objective", MASKINGS.names())
def test_masked_text_holds_every_token_once_on_either_side(source, objective):
    request = MaskingRequest(objective=objective, seed=3)
    prepared = prepare_text(
        source(), tokenizer=TokenizerRequest(kind="bytes", objective=objective), masking=request, **OPTIONS
    )
    for blocks, side in ((prepared.train, "train"), (prepared.validation, "validation")):
        cut = [blocks.blocks.tokens(index) for index in range(len(blocks))]
        assert sum(map(len, cut)) == prepared.report.sides[side].tokens
        assert blocks.block_size == len(blocks[0]["input_ids"]) == 16
    assert prepared.train.seed == 3


def test_a_tokenizer_is_trained_anew_for_another_objective(source):
    sizes = {
        objective: len(
            prepare_text(source(), tokenizer=TokenizerRequest(kind="bytes", objective=objective), **OPTIONS).tokenizer
        )
        for objective in ("causal", "masked", "span")
    }
    assert sizes == {"causal": 257, "masked": 260, "span": 358}


@pytest.mark.parametrize("option", [{"streaming": True}, {"isolate_documents": True}])
def test_what_only_the_causal_objective_can_do_is_refused(source, option, bytes_tokenizer):
    with pytest.raises(UserError, match=f"{next(iter(option))} goes with objective causal alone, not with masked"):
        prepare_text(
            source(),
            tokenizer=bytes_tokenizer,
            masking=MaskingRequest(objective="masked", seed=0),
            **option,
            **OPTIONS,
        )
