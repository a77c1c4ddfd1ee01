"""The Trainer part: what its constructor and its callbacks have no socket for, one mixin per concern."""

from transformers import Trainer

from hf_strategies.training.averaging import AveragingMixin
from hf_strategies.training.checkpointing import CheckpointingMixin
from hf_strategies.training.continuing import ContinuingMixin
from hf_strategies.training.feeding import FeedingMixin
from hf_strategies.training.gradients import GradientsMixin
from hf_strategies.training.guarding import GuardingMixin
from hf_strategies.training.loading import LoadingMixin
from hf_strategies.training.metric_log import MetricLogMixin
from hf_strategies.training.pipelining import PipeliningMixin
from hf_strategies.training.regularizing import RegularizingMixin
from hf_strategies.training.rescuing import RescuingMixin
from hf_strategies.training.resuming import ResumingMixin
from hf_strategies.training.scheduling import SchedulingMixin
from hf_strategies.training.seeking import SeekingMixin
from hf_strategies.training.stopping import StoppingMixin


class StrategyMixin(
    StoppingMixin,
    RescuingMixin,
    CheckpointingMixin,
    ResumingMixin,
    LoadingMixin,
    AveragingMixin,
    SchedulingMixin,
    GuardingMixin,
    GradientsMixin,
    RegularizingMixin,
    MetricLogMixin,
    FeedingMixin,
    ContinuingMixin,
    SeekingMixin,
    PipeliningMixin,
):
    """Give any Trainer schedules by name, updates that are judged, checkpoints that are whole, and an exact resume.

    It stands before the Trainer it extends: `class Mine(StrategyMixin, Seq2SeqTrainer)`. What a plain Trainer can do
    stays with it. A random order of samples becomes a pure function of (data_seed, or else seed; epoch; position); any
    other order stays, but what it draws becomes one of (the same seed; epoch). Each checkpoint says how many samples
    it has seen (`position.json`), and resuming seeks there, also with other ranks, batch size or accumulation, without
    loading what it skips; `StreamingBlocks` too continue where they were left.

    Its keyword arguments besides the host's: `scheduler`, `scheduler_kwargs` and `tokens_per_sample` of
    `SchedulingMixin`; `clip_grad_value`, `adaptive_clipping`, `sam_rho` and `fgm_epsilon` of `GradientsMixin`;
    `z_loss` and `r_drop` of `RegularizingMixin`; `objective` and `objective_kwargs` of `ObjectiveMixin`; `guard` of
    `GuardingMixin` (on by default); `max_broken_share` of `FeedingMixin`; `balance` of `SeekingMixin`; `max_hours`,
    `job_started`, `save_minutes`, `save_at_steps` and `hang_timeout` of `StoppingMixin`, whose `stopped_by` says why a
    run ended early.
    """


class StrategyTrainer(StrategyMixin, Trainer):
    """`Trainer` with `StrategyMixin`'s schedules by name, metrics of callbacks, and exact resume."""
