import numpy as np
import pytest
import torch

from hf_strategies.augmentation.draw_key import DrawKey
from hf_strategies.augmentation.mixing import cutmix, draw_partner, mix, mixup
from hf_strategies.randomness import generator


def shares_of(draw, **settings) -> np.ndarray:
    return np.array([draw(DrawKey(0, 0, row), 20, 20, **settings).mean().item() for row in range(2000)])


def test_partners_are_drawn_from_all_other_examples():
    partners = [draw_partner(DrawKey(0, epoch, 3), 5) for epoch in range(400)]
    assert set(partners) == {0, 1, 2, 4}
    assert all(60 < partners.count(one) < 140 for one in (0, 1, 2, 4))  # 100 each, standard deviation 9
    assert draw_partner(DrawKey(0, 0, 0), 1) == 0


def test_the_share_of_mixup_is_one_for_all_pixels_and_follows_beta():
    kept = mixup(DrawKey(0, 0, 0), 3, 5, alpha=1.0)
    assert kept.shape == (3, 5)
    assert kept.unique().numel() == 1
    # Beta(a, a) has mean 1/2 and variance 1 / (4 (2a + 1)).
    for alpha in (0.2, 1.0):
        shares = shares_of(mixup, alpha=alpha)
        assert shares.mean() == pytest.approx(0.5, abs=0.04)
        assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), abs=0.01)


@pytest.mark.parametrize("draw", [mixup, cutmix])
def test_as_many_images_are_mixed_as_were_asked_for(draw):
    unmixed = (shares_of(draw, alpha=1.0, probability=0.25) == 1).mean()
    # A rectangle may be too small for a single pixel: of 20 by 20 one in 400 of those that are mixed.
    assert unmixed == pytest.approx(0.75, abs=5 * 0.01)


def test_a_rectangle_has_the_share_that_was_drawn_unless_the_edge_cuts_it_off():
    whole = 0
    for row in range(300):
        key = DrawKey(0, 0, row)
        taken = 1 - cutmix(key, 60, 40, probability=1.0)
        rows, columns = taken.any(dim=1).nonzero().flatten(), taken.any(dim=0).nonzero().flatten()
        if not len(rows):
            continue
        high, wide = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
        assert taken.sum() == high * wide
        draws = generator(*key, "cutmix")
        draws.random()
        share = 1 - draws.beta(1.0, 1.0)
        assert high * wide <= share * 60 * 40 + 1e-3
        if rows[0] > 0 and rows[-1] < 59 and columns[0] > 0 and columns[-1] < 39:
            whole += 1
            # Both sides are rounded down to whole pixels, and are in the image's proportion.
            assert (high, wide) == (int(share**0.5 * 60), int(share**0.5 * 40))
    assert whole > 20


def test_pixels_and_labels_are_mixed_in_the_same_shares():
    images, partners = torch.full((2, 1, 2, 4), 1.0), torch.full((2, 1, 2, 4), 0.2)
    kept = torch.stack([torch.full((2, 4), 0.75), torch.tensor([[1.0, 1, 0, 0], [1, 1, 0, 0]])])
    labels, partner_labels = torch.eye(3)[[0, 1]], torch.eye(3)[[2, 1]]
    mixed, shares = mix(images, partners, labels, partner_labels, kept)
    torch.testing.assert_close(mixed[0], torch.full((1, 2, 4), 0.75 * 1.0 + 0.25 * 0.2))
    torch.testing.assert_close(mixed[1], torch.tensor([[[1.0, 1, 0.2, 0.2], [1, 1, 0.2, 0.2]]]))
    torch.testing.assert_close(shares, torch.tensor([[0.75, 0, 0.25], [0, 1.0, 0]]))


def test_label_weights_are_the_shares_of_pixels():
    kept = torch.stack([cutmix(DrawKey(0, 0, row), 16, 16, probability=1.0) for row in range(64)])
    own, other = torch.tensor([[1.0, 0.0]]).expand(64, 2), torch.tensor([[0.0, 1.0]]).expand(64, 2)
    images, labels = mix(torch.ones(64, 3, 16, 16), torch.zeros(64, 3, 16, 16), own, other, kept)
    torch.testing.assert_close(labels[:, 0], images.mean((1, 2, 3)))
    torch.testing.assert_close(labels.sum(1), torch.ones(64))
