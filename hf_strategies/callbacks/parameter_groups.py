"""The optimizer's parameter groups, printed as training begins."""

from typing import Any

from torch.optim import Optimizer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_strategies.optimizers.group_table import describe_param_groups
from hf_strategies.reports.group_lines import GROUP_HEADERS, group_lines
from hf_strategies.reports.terminal import format_table


class ParameterGroupsCallback(TrainerCallback):
    """Print on stdout, from rank 0, what the optimizer does to which weights: any optimizer, also after a resume."""

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer,
        **kwargs: Any,
    ) -> None:
        if state.is_world_process_zero:
            rows = [row._asdict() for row in describe_param_groups(optimizer)]
            print(format_table(group_lines(rows), GROUP_HEADERS), flush=True)
