import pytest
import torch
from torch import nn
from transformers import AutoModelForVideoClassification

from hf_strategies.errors import UserError
from hf_strategies.models import resolve_sizes
from hf_strategies.models.factory import count_parameters, create_config, create_model
from hf_strategies.models.nearest_size import nearest_sizes
from hf_strategies.module_tree.heads import head_names
from hf_strategies.module_tree.layer_depth import layer_depths
from hf_strategies.optimizers.matrices import matrix_layouts

HEAD = "video-classification"


def config_of(image_size: int = 16, num_channels: int = 3, options: dict | None = None, **sizes):
    resolved, _ = resolve_sizes("resnet3d", sizes)
    return create_config("resnet3d", sizes=resolved, options=options, image_size=image_size, num_channels=num_channels)


def build(**asked):
    torch.manual_seed(0)
    return create_model(config_of(**{"hidden_size": 8, "num_hidden_layers": 10, **asked}), head=HEAD)


def test_r3d_18_has_the_published_number_of_parameters():
    config = config_of(image_size=112)
    config.num_labels = 400
    assert (config.hidden_size, config.num_hidden_layers, config.stem) == (64, 18, "large")
    # The convolutions and their norms by hand; of each of the last three stages, a projection of type B beside them.
    stem = 7**3 * 3 * 64 + 2 * 64
    body = sum(
        27 * (before * after + 3 * after * after) + 4 * 2 * after
        for before, after in ((64, 64), (64, 128), (128, 256), (256, 512))
    )
    projections = sum(before * 2 * before + 4 * before for before in (64, 128, 256))
    head = 512 * 400 + 400
    assert count_parameters(config, HEAD) == stem + body + projections + head == pytest.approx(33.2e6, rel=0.02)


@pytest.mark.parametrize(("image_size", "stem", "maps"), [(16, "small", (2, 2, 2)), (112, "large", (1, 4, 4))])
def test_the_stem_follows_the_images_and_a_clip_is_read_in_time_and_space(image_size, stem, maps):
    model = build(image_size=image_size).eval()
    assert model.config.stem == stem
    # 16 frames: a small stem leaves all, three strides an eighth; a large one's pool halves them once more.
    read = model.resnet(torch.zeros(1, 16, 3, image_size, image_size))
    assert read.last_hidden_state.shape == (1, 64, *maps)
    assert build(options={"stem": "small"}, image_size=112).config.stem == "small"


@torch.no_grad()
def test_a_block_adds_what_it_was_given():
    model = build().eval()
    same, wider = model.resnet.stages[0][0], model.resnet.stages[1][0]
    for block in (same, wider):
        nn.init.zeros_(block.norm2.weight)
    clips = torch.rand(2, 8, 4, 6, 6)
    torch.testing.assert_close(same(clips), clips)
    torch.testing.assert_close(wider(clips), wider.shortcut(clips).relu())


def test_time_is_an_axis_of_its_own():
    """A clip and the same clip backwards are told apart, which a mean over frames cannot."""
    torch.manual_seed(0)
    forwards = torch.linspace(0, 1, 8).view(1, 8, 1, 1, 1) + 0.1 * torch.randn(8, 8, 1, 8, 8)
    clips, labels = torch.cat([forwards, forwards.flip(1)]), torch.tensor([0] * 8 + [1] * 8)
    model = build(num_channels=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(20):
        loss = model(clips, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert (model.eval()(clips).logits.argmax(1) == labels).all()


def test_a_last_batch_of_one_small_clip_is_normalised_by_those_before():
    model, clips = build(), torch.rand(3, 8, 3, 8, 8)
    model.train()(clips)  # the last stage sees a single place of each
    before = model.resnet.stages[3][0].norm1.running_mean.clone()
    model(clips[:1], labels=torch.zeros(1, dtype=torch.long)).loss.backward()
    assert torch.equal(model.resnet.stages[3][0].norm1.running_mean, before)
    assert model.resnet.stages[3][0].norm1.weight.grad is not None


def test_it_is_saved_and_loaded_with_the_statistics_of_its_norms(tmp_path):
    model = build()
    model.train()(torch.rand(4, 8, 3, 16, 16))
    model.eval().save_pretrained(tmp_path)
    clips = torch.rand(2, 8, 3, 16, 16)
    again = AutoModelForVideoClassification.from_pretrained(tmp_path)
    torch.testing.assert_close(again(clips).logits, model(clips).logits)


def test_its_convolutions_are_matrices_but_for_the_first_and_each_block_is_a_layer():
    model = build()
    layouts = matrix_layouts(model)
    names = [name for name, param in model.named_parameters() if param in layouts]
    convolutions = [name for name, param in model.named_parameters() if param.ndim == 5]
    assert names == [name for name in convolutions if "stem" not in name]
    depths, top = layer_depths(model, needed_by="a test", instead="")
    assert top == 5
    assert [depths[stage[0].conv1.weight] for stage in model.resnet.stages] == [1, 2, 3, 4]
    assert (depths[model.resnet.stem[0].weight], depths[model.classifier.weight]) == (0, 5)
    assert head_names(model) == ["classifier"]


def test_fresh_convolutions_keep_the_size_of_gradients():
    # He et al.: a variance of 2 over the outputs that a weight feeds, 27 places of 64 channels.
    weight = build().resnet.stages[3][0].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (27 * 64)) ** 0.5, rel=0.02)


def test_sizes_are_those_that_there_are():
    with pytest.raises(UserError, match="num_hidden_layers of resnet3d must be one of 10, 18, 34, got 12"):
        resolve_sizes("resnet3d", {"num_hidden_layers": 12})
    assert resolve_sizes("resnet3d", {}, size="r3d_34")[0] == {"hidden_size": 64, "num_hidden_layers": 34}

    def count(sizes):
        return count_parameters(create_config("resnet3d", sizes=sizes, image_size=16, num_channels=3), HEAD)

    sizes = nearest_sizes("resnet3d", {}, 2_000_000, count)
    assert count(sizes) == pytest.approx(2_000_000, rel=0.1)
    assert (sizes["hidden_size"] % 8, sizes["num_hidden_layers"]) == (0, 18)
