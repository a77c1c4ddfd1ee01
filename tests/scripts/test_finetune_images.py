"""Images and clips from the script, end to end: tiny models, and pictures that a mean can tell apart."""

import io
import json
import shutil
import sys
import zipfile

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features
from datasets import Image as ImageFeature
from PIL import Image
from safetensors.torch import load_file
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    VideoMAEConfig,
    VideoMAEForVideoClassification,
    ViTConfig,
    ViTForImageClassification,
)

CLASSES = {"bright": 200, "dark": 40}
TASK = ["--task", "image-classification"]
TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
FROM_SCRATCH = [*TASK, "--architecture", "vit", "--patch_size", "4"]
FROM_SCRATCH += [
    word
    for name in ("hidden_size", "num_hidden_layers", "num_attention_heads")
    for word in (f"--{name}", str(TINY[name]))
]


def picture(label, number, *, channels=1, size=8):
    """A class's brightness, with noise of its own for each number."""
    noise = np.random.default_rng((CLASSES[label], number)).integers(-30, 30, size=(size, size, channels))
    return (CLASSES[label] + noise).astype(np.uint8).squeeze()


def png(label, number, **kind):
    encoded = io.BytesIO()
    Image.fromarray(picture(label, number, **kind)).save(encoded, format="png")
    return encoded.getvalue()


@pytest.fixture
def images(tmp_path):
    """Write forty pictures, each in the folder of its class."""

    def write(name="images", **kind):
        for label in CLASSES:
            (tmp_path / name / label).mkdir(parents=True)
            for number in range(20):
                (tmp_path / name / label / f"{number:02}.png").write_bytes(png(label, number, **kind))
        return tmp_path / name

    return write


@pytest.fixture
def checkpoint(tmp_path):
    """Write a tiny ViT that tells three things apart."""

    def write(**changes):
        torch.manual_seed(0)
        names = {0: "cat", 1: "dog", 2: "owl"}
        config = {"image_size": 12, "patch_size": 4, "num_channels": 3, "id2label": names, **TINY, **changes}
        ViTForImageClassification(ViTConfig(**config)).save_pretrained(tmp_path / "checkpoint")
        return str(tmp_path / "checkpoint")

    return write


@pytest.fixture
def clips(tmp_path):
    def write(name="clips.npz", count=24, shape=(3, 2, 8, 8), **others):
        labels = np.arange(count) % 2
        noise = np.random.default_rng(0).integers(0, 30, size=(count, *shape))
        arrays = {"clips": (labels[:, None, None, None, None] * 150 + noise).astype(np.uint8), "labels": labels}
        np.savez(tmp_path / name, **{**arrays, **others})
        return str(tmp_path / name)

    return write


@pytest.fixture
def clip_checkpoint(tmp_path):
    torch.manual_seed(0)
    config = VideoMAEConfig(image_size=8, patch_size=4, num_channels=3, num_frames=2, tubelet_size=2, **TINY)
    VideoMAEForVideoClassification(config).save_pretrained(tmp_path / "clip-checkpoint")
    return str(tmp_path / "clip-checkpoint")


def test_a_folder_a_zip_archive_and_parquet_of_the_same_images_train_the_same_model(finetune, images, tmp_path):
    folder = images()
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in folder.rglob("*.png"):
            archive.write(path, path.relative_to(folder))
    rows = [(label, number) for label in CLASSES for number in range(20)]
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=list(CLASSES))})
    table = {"image": [{"bytes": png(*row), "path": None} for row in rows], "label": [label for label, _ in rows]}
    Dataset.from_dict(table, features=features).to_parquet(tmp_path / "images.parquet")
    runs = [
        finetune(*FROM_SCRATCH, "--train_file", str(tmp_path / name), name=f"from-{name}")
        for name in ("images", "images.zip", "images.parquet")
    ]
    (results, out), *others = runs
    assert results["eval_accuracy"] == 1.0
    for other, folder in others:
        assert other["eval_loss"] == results["eval_loss"]
        assert (folder / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()
    report = (out / "report.html").read_text()
    assert "bright" in report
    assert "confusion" in report.lower()
    model = AutoModelForImageClassification.from_pretrained(out)
    assert model.config.id2label == {0: "bright", 1: "dark"}
    processor = AutoImageProcessor.from_pretrained(out)  # others' pictures may have any size
    large = Image.open(io.BytesIO(png("dark", 50, size=30)))
    assert model(**processor(large, return_tensors="pt")).logits.argmax() == 1


@pytest.mark.parametrize(("theirs", "ours"), [(3, 1), (1, 3)], ids=["grey for colours", "colours for grey"])
def test_images_take_the_shape_that_a_checkpoint_was_trained_on(finetune, images, checkpoint, capsys, theirs, ours):
    trained = checkpoint(num_channels=theirs)
    before = ViTForImageClassification.from_pretrained(trained)
    _, out = finetune(
        *TASK, "--train_file", str(images(channels=ours)), "--model_name_or_path", trained, recipe="vit_finetune"
    )
    said = capsys.readouterr().out
    assert "made anew, as the checkpoint has none that fits this task: classifier.bias, classifier.weight" in said
    assert f"images come to the checkpoint 12 x 12, {'grey' if theirs == 1 else 'in colour'}" in said
    assert ("pipeline(" in (out / "README.md").read_text()) == (theirs == 3)  # the host's makes three channels of one
    model = AutoModelForImageClassification.from_pretrained(out)
    assert (model.config.num_channels, model.config.image_size, model.config.num_labels) == (theirs, 12, 2)
    moved = (model.vit.layers[0].mlp.fc1.weight - before.vit.layers[0].mlp.fc1.weight).abs().max()
    assert 0 < moved < 0.02  # trained on from the checkpoint's weights: a new draw would differ by 0.1


def test_a_checkpoints_own_classes_keep_their_head_and_its_order(finetune, images, checkpoint, capsys):
    trained = checkpoint(id2label={0: "dark", 1: "bright"})
    _, out = finetune(*TASK, "--train_file", str(images()), "--model_name_or_path", trained, recipe="vit_finetune")
    assert "made anew" not in capsys.readouterr().out
    assert AutoModelForImageClassification.from_pretrained(out).config.id2label == {0: "dark", 1: "bright"}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_is_the_uninterrupted_one_augmentation_and_all(finetune, images, checkpoint, capsys, workers):
    flags = [*TASK, "--train_file", str(images()), "--model_name_or_path", checkpoint(hidden_dropout_prob=0.1)]
    flags += ["--dataloader_num_workers", str(workers)]
    _, out = finetune(*flags, recipe="vit_finetune")
    straight = load_file(out / "model.safetensors")
    checkpoints = sorted(out.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    assert len(checkpoints) == 2
    (out / "all_results.json").unlink()
    shutil.rmtree(checkpoints[-1])
    finetune(*flags, recipe="vit_finetune")
    assert f"resuming from {checkpoints[0]}" in capsys.readouterr().out
    resumed = load_file(out / "model.safetensors")
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_mixed_images_are_the_same_whatever_the_number_of_workers(finetune, images, mix):
    augmented = json.dumps({"horizontal_flip": {}, "trivial_augment": {}})
    flags = [*FROM_SCRATCH, "--train_file", str(images(channels=3)), "--num_train_epochs", "1"]
    flags += ["--image_augmentation", augmented, "--image_mix", json.dumps({mix: {"probability": 1.0}})]
    losses = []
    for workers in ("0", "2"):
        results, out = finetune(*flags, "--dataloader_num_workers", workers, name=f"{mix}-{workers}")
        history = json.loads((out / "trainer_state.json").read_text())["log_history"]
        losses.append([row["loss"] for row in history if "loss" in row])
        assert results["eval_loss"] < 1.0  # on plain images, and classes: not on mixtures of two
    assert len(losses[0]) > 2
    assert losses[0] == losses[1]


def test_clips_train_a_video_model_and_its_mistakes_show_a_frame(finetune, clips, clip_checkpoint, capsys):
    results, out = finetune(
        "--task", "clip-classification", "--train_file", clips(), "--model_name_or_path", clip_checkpoint,
        "--learning_rate", "1e-9", recipe="vit_finetune",
    )  # fmt: skip
    assert (
        "image_mix: task clip-classification has no images that it could change; what recipe"
        in capsys.readouterr().out
    )
    assert VideoMAEForVideoClassification.from_pretrained(out).config.num_labels == 2
    assert results["eval_accuracy"] < 1.0  # at this rate nothing is learned
    assert 'src="data:image/png;base64,' in (out / "report.html").read_text().partition("Worst mistakes")[2]


@pytest.fixture
def refused(refuse_finetune):
    """Run the script on something wrong; returns the one line that it says."""

    def run(*flags, **options):
        said = refuse_finetune(*flags, **options)
        assert said.startswith("error: ")
        assert "\n" not in said
        return said

    return run


def test_a_corrupt_jpeg_is_skipped_and_counted_and_many_are_too_many(finetune, refused, images, capsys):
    folder = images()
    whole = io.BytesIO()
    Image.new("L", (8, 8), 200).save(whole, format="jpeg")
    (folder / "bright" / "cut.jpg").write_bytes(whole.getvalue()[:200])
    flags = [*FROM_SCRATCH, "--train_file", str(folder), "--num_train_epochs", "1"]
    said = refused(*flags)
    assert "1 of 41 records are broken, more than the share of 0.01" in said
    assert "bright/cut.jpg" in said
    _, out = finetune(*flags, "--max_broken_share", "0.1")
    assert "skipped 1 broken of 41 records" in capsys.readouterr().out
    assert "cut.jpg" in (out / "README.md").read_text()


def test_what_no_classes_can_be_learned_from_is_a_line(refused, images, tmp_path):
    folder = images()
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    assert "holds no images" in refused(*FROM_SCRATCH, "--train_file", str(tmp_path / "empty.zip"))
    shutil.rmtree(folder / "dark")
    assert "got only 'bright': nothing can be learned" in refused(*FROM_SCRATCH, "--train_file", str(folder))
    flat = folder / "bright"
    assert "00.png lies in no folder of a class" in refused(*FROM_SCRATCH, "--train_file", str(flat))


def test_a_checkpoint_that_does_not_fit_is_a_line(
    refused, images, clips, checkpoint, clip_checkpoint, text_checkpoint
):
    folder = str(images())
    said = refused(*TASK, "--train_file", folder, "--model_name_or_path", text_checkpoint("bert"))
    assert "is a bert, which has no head for image-classification" in said
    said = refused(*TASK, "--train_file", folder, "--model_name_or_path", checkpoint(), "--image_size", "8")
    assert "checkpoint does not take images of shape [3, 8, 8] (channels, height, width): " in said
    assert said.rstrip().endswith("; without image_size they come in its own")
    task = ["--task", "clip-classification", "--model_name_or_path", clip_checkpoint]
    said = refused(*task, "--train_file", clips(shape=(1, 2, 8, 8)))
    assert "clip-checkpoint does not take clips of shape [1, 2, 8, 8] (channels, frames, height, width): " in said
    assert "must be [n, channels, frames, height, width], none of them 0" in refused(
        *task, "--train_file", clips(shape=(3, 0, 8, 8))
    )


def test_an_augmentation_without_its_package_says_what_to_install(refused, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia", None)
    flags = [*FROM_SCRATCH, "--train_file", str(images(channels=3)), "--image_augmentation", "trivial_augment"]
    assert "pip install 'hf_strategies[vision]'" in refused(*flags)
