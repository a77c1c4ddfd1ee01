"""A 3-D ResNet for clips (Hara et al. 2018), which the host does not have.

Importing this makes it known to the host's Auto classes.
"""

from transformers import AutoConfig, AutoModel, AutoModelForVideoClassification

from hf_strategies.models.resnet3d.config import ResNet3dConfig
from hf_strategies.models.resnet3d.model import ResNet3dForVideoClassification, ResNet3dModel

AutoConfig.register(ResNet3dConfig.model_type, ResNet3dConfig, exist_ok=True)
AutoModel.register(ResNet3dConfig, ResNet3dModel, exist_ok=True)
AutoModelForVideoClassification.register(ResNet3dConfig, ResNet3dForVideoClassification, exist_ok=True)

__all__ = ["ResNet3dConfig", "ResNet3dForVideoClassification", "ResNet3dModel"]
