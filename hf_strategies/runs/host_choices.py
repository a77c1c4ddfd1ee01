"""What the host would find wrong with its own optimizers and schedules when training begins, found before."""

import torch
from torch import nn
from transformers import Trainer, TrainingArguments, get_scheduler

from hf_strategies.errors import UserError, first_line

SOME_UPDATES = 1000  # of a run whose length is not known yet: what is checked does not depend on it


def check_hosts_optimizer(args: TrainingArguments, model: nn.Module) -> None:
    """Refuse an `optim` whose package is missing, or that lacks a setting.

    Args:
        args: The run's.
        model: To be trained; on the meta device will do.

    Raises:
        UserError: As said, in the host's words.
    """
    try:
        Trainer.get_optimizer_cls_and_kwargs(args, model)
    except Exception as error:  # each of its optimizers has errors of its own kinds
        raise UserError(f"optim {args.optim.value}: {first_line(error)}") from error


def check_hosts_schedule(args: TrainingArguments) -> None:
    """Refuse an `lr_scheduler_type` that lacks a setting, or has one that it does not know.

    Raises:
        UserError: As said, in the host's words.
    """
    name, given = args.lr_scheduler_type.value, args.lr_scheduler_kwargs
    updates = args.max_steps if args.max_steps > 0 else SOME_UPDATES
    probe = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=args.learning_rate)
    try:
        get_scheduler(name, probe, args.get_warmup_steps(updates), updates, given)
    except Exception as error:  # a function's own complaint about a keyword among them
        why = first_line(error)
        if isinstance(error, TypeError):  # "get_cosine_...() got an unexpected keyword argument 'foo'"
            why = f"its function {why}"
        raise UserError(f"lr_scheduler_type {name} with lr_scheduler_kwargs {given or 'none'}: {why}") from error
