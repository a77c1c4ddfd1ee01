"""A 3-D ResNet: a body, and a classifier of clips.

Paper: https://arxiv.org/abs/1711.09577, section 3.2 and table 1: basic blocks, and where a block changes the shape, a
projection beside it (type B).
"""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling, ImageClassifierOutput

from hf_strategies.models.resnet3d.config import STAGES, ResNet3dConfig


class ClipNorm(nn.BatchNorm3d):
    """Batch normalisation, by what it has seen before where a batch is one value: a last clip of few pixels."""

    def forward(self, clips: Tensor) -> Tensor:
        if self.training and clips.numel() == clips.shape[1]:
            return nn.functional.batch_norm(
                clips, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(clips)


class ResNet3dBlock(nn.Module):
    """Two convolutions, 3 x 3 x 3, and what they were given added to what they make of it.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        stride: Of the first convolution, in time and space.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = ClipNorm(outputs)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = ClipNorm(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut.append(nn.Conv3d(inputs, outputs, 1, stride=stride, bias=False))
            self.shortcut.append(ClipNorm(outputs))

    def forward(self, clips: Tensor) -> Tensor:
        changed = self.norm2(self.conv2(self.norm1(self.conv1(clips)).relu()))
        return (changed + self.shortcut(clips)).relu()


class ResNet3dPreTrainedModel(PreTrainedModel):
    """What the models share: their config, and how fresh weights are drawn."""

    config: ResNet3dConfig
    config_class = ResNet3dConfig
    base_model_prefix = "resnet"
    main_input_name = "pixel_values"
    _no_split_modules = ["ResNet3dBlock"]  # noqa: RUF012 - the host reads it from the class

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """As He et al. for layers behind which negative values are lost (https://arxiv.org/abs/1502.01852)."""
        super()._init_weights(module)
        if isinstance(module, nn.Conv3d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class ResNet3dModel(ResNet3dPreTrainedModel):
    """From clips to maps of features."""

    def __init__(self, config: ResNet3dConfig) -> None:
        super().__init__(config)
        width, large = config.hidden_size, config.stem == "large"
        self.stem = nn.Sequential(
            nn.Conv3d(
                config.num_channels,
                width,
                7 if large else 3,
                stride=(1, 2, 2) if large else 1,
                padding=3 if large else 1,
                bias=False,
            ),
            ClipNorm(width),
            nn.ReLU(),
            *([nn.MaxPool3d(3, stride=2, padding=1)] if large else []),
        )
        self.stages = nn.ModuleList()
        inputs = width
        for stage, blocks in enumerate(STAGES[config.num_hidden_layers]):
            outputs = width * 2**stage
            strides = [1 if stage == 0 else 2] + [1] * (blocks - 1)
            channels = [inputs] + [outputs] * (blocks - 1)
            self.stages.append(
                nn.ModuleList(ResNet3dBlock(before, outputs, stride) for before, stride in zip(channels, strides))
            )
            inputs = outputs
        self.post_init()

    def forward(self, pixel_values: Tensor) -> BaseModelOutputWithPooling:
        """Read clips.

        Args:
            pixel_values: `[clips, frames, channels, height, width]`, as the host's video models take them.

        Returns:
            `last_hidden_state` `[clips, 8 * hidden_size, frames, height, width]`, each of the last three an eighth of
            a clip's or less, and its mean over them, `pooler_output`.
        """
        maps = self.stem(pixel_values.transpose(1, 2))
        for stage in self.stages:
            for block in stage:
                maps = block(maps)
        return BaseModelOutputWithPooling(last_hidden_state=maps, pooler_output=maps.mean(dim=(2, 3, 4)))


class ResNet3dForVideoClassification(ResNet3dPreTrainedModel):
    """A classifier of clips."""

    def __init__(self, config: ResNet3dConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.resnet = ResNet3dModel(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(8 * config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **loss_settings) -> ImageClassifierOutput:
        """Score each clip, `[clips, num_labels]`; with `labels`, return the loss too."""
        logits = self.classifier(self.dropout(self.resnet(pixel_values).pooler_output))
        loss = None
        if labels is not None:
            loss = self.loss_function(labels, logits, self.config, **loss_settings)
        return ImageClassifierOutput(loss=loss, logits=logits)
