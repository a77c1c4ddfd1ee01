import hashlib
import math

import pytest

from hf_strategies.data.split import hold_out, is_validation
from hf_strategies.errors import UserError

TEXTS = [f"document {number}" for number in range(20_000)]


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_the_share_of_documents_is_binomial(share):
    held_out = sum(is_validation(text, share) for text in TEXTS)
    deviation = math.sqrt(len(TEXTS) * share * (1 - share))
    assert abs(held_out - share * len(TEXTS)) < 4 * deviation


def test_the_side_of_a_text_is_fixed_forever():
    # The first eight bytes of blake2b("hello", digest_size=8), little-endian, over 2**64: 0.4891
    digest = bytes.fromhex("a7b6eda801e5347d")
    position = int.from_bytes(digest, "little") / 2**64
    assert is_validation("hello", position + 1e-6)
    assert not is_validation("hello", position - 1e-6)


def test_a_larger_share_keeps_what_a_smaller_one_held_out():
    small = {text for text in TEXTS if is_validation(text, 0.05)}
    assert small
    assert all(is_validation(text, 0.1) for text in small)


def test_none_and_all_are_exact():
    assert not any(is_validation(text, 0.0) for text in TEXTS)
    assert all(is_validation(text, 1.0) for text in TEXTS)


def test_a_share_out_of_range_is_refused():
    with pytest.raises(UserError, match=r"validation_share must lie in \[0, 1\], got 5"):
        is_validation("text", 5)


def test_every_class_has_rows_on_both_sides_and_copies_stay_together():
    first_held = sorted(
        TEXTS[:400], key=lambda text: int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    )
    early, late = first_held[:20], first_held[-20:]
    rare = late[:3]
    contents = [*early, *rare, *rare, late[5]]
    classes = ["common"] * 20 + ["rare"] * 6 + ["single"]
    held = dict(zip(contents, hold_out(contents, 0.1, classes)))
    assert [content for content in contents[:20] if not held[content]] == [
        early[-1]
    ]  # the last of them to be held out
    assert [held[content] for content in rare] == [True, False, False]  # the first to be
    assert not held[late[5]]  # there is only one of its class
    assert hold_out(contents, 0.1, [None] * len(contents)) == [is_validation(text, 0.1) for text in contents]
    assert not any(hold_out(contents, 0.0, classes))
    assert all(hold_out(contents, 1.0, classes))
