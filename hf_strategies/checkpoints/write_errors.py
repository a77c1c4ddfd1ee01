"""Which errors of a save say that the disk took no more, and not that the program is wrong."""

from safetensors import SafetensorError
from torch.distributed.checkpoint import CheckpointException

# torch has no class of error for it: its words are all there is. The last is said of a folder that went away.
WORDS = ("PytorchStreamWriter", "unexpected pos", "No space left", "Parent directory")


def is_write_error(error: BaseException) -> bool:
    """Tell whether a save failed at writing: no space, a limit on the size of files, a disk that went away.

    A save of sharded weights has one error for all ranks, with what each of them met.
    """
    if isinstance(error, CheckpointException):
        return all(is_write_error(met) for met, _ in error.failures.values())
    if isinstance(error, OSError | SafetensorError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in WORDS)
