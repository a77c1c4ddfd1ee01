"""How far each machine of `accelerate_configs/` is tried, by its name."""

LAUNCHED = (
    "cpu",
    "single_gpu",
    "ddp",
    "ddp_bf16",
    "zero1",
    "zero2",
    "zero2_bf16",
    "zero3",
    "zero3_bf16",
    "zero2_offload",
    "zero3_offload",
    "multi_node_ddp",
    "multi_node_zero3",
    "pipeline",
    "pipeline_bf16",
)
ON_ONE_GPU = ("ddp_fp16", "zero2_fp16", "fsdp2", "fsdp2_offload")
PARSED = ("tensor_parallel", "context_parallel", "tpu")
