"""Which settings a sweep tries next, and which it gives up."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from hf_strategies.planning.sweep_space import Axis, Choices, SettingValues
from hf_strategies.planning.trials import trial_name

RUNGS = 4  # in a run: a setting is judged at a quarter and at a half of it, the end being no rung; sooner says little
REDUCTION = 2  # at every rung the better half goes on
RANDOM_SHARE = 1 / 4  # of the trials, before TPE has seen enough to model them


def is_never_judged(training: Mapping[str, Any]) -> bool:
    """Tell from a job's host settings that its runs are not evaluated at a rung; a length in epochs is not known."""
    if training.get("eval_strategy", "no") == "no":
        return True
    length, every = training.get("max_steps", -1), training.get("eval_steps") or training.get("logging_steps", 500)
    return training["eval_strategy"] == "steps" and 0 < length <= every  # which may be a share of it


class Search(Protocol):
    """Where settings come from, and where their losses go.

    Settings that an earlier process has tried are asked for again: whoever asks knows what came of them.
    """

    total: int

    def ask(self) -> tuple[SettingValues, int | None] | None:
        """Return the next setting to try and its seed; None when there is none."""

    def tell(self, values: SettingValues, loss: float | None) -> None:
        """Take what a setting came to: its loss, infinite where it diverged; None where it was stopped."""

    def is_hopeless(self, values: SettingValues, evaluations: Sequence[tuple[float, float]]) -> bool:
        """Tell whether a setting is to be stopped, from its evaluations: the share of the run done, and the loss."""


class ListedSearch:
    """A list of settings, each tried to its end: a grid, or a random draw.

    Args:
        settings: To try.
        seeds: Of every setting. All settings come with the first seed before any comes with the second: what there is
            of a sweep that was interrupted compares all of them.
    """

    def __init__(self, settings: Sequence[SettingValues], seeds: Sequence[int | None]) -> None:
        self.total = len(settings) * len(seeds)
        self._left = iter([(values, seed) for seed in seeds for values in settings])

    def ask(self) -> tuple[SettingValues, int | None] | None:
        return next(self._left, None)

    def tell(self, values: SettingValues, loss: float | None) -> None:
        return

    def is_hopeless(self, values: SettingValues, evaluations: Sequence[tuple[float, float]]) -> bool:
        return False


class OptunaSearch:
    """TPE proposes, successive halving stops; a journal on disk remembers both.

    What the journal holds as told comes first, and is not told to it again. A setting that is proposed once more is
    told what it came to, without being tried. A trial that failed is not told: it counts among those that are running,
    and the next process tries it again.

    Args:
        axes: What varies.
        num_trials: Settings to try.
        seed: Of every trial.
        journal: The file that the study lives in.
    """

    def __init__(self, axes: Sequence[Axis], num_trials: int, seed: int | None, journal: Path) -> None:
        import optuna
        from optuna.storages.journal import JournalFileBackend, JournalStorage

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._states = optuna.trial.TrialState
        self._axes = axes
        self.total = num_trials
        self._seed = seed
        self._open: dict[str, list[Any]] = {}
        self._told: dict[str, float | None] = {}
        storage = JournalStorage(JournalFileBackend(str(journal)))
        study = optuna.create_study(study_name="sweep", storage=storage, load_if_exists=True)
        for left in study.get_trials(states=[self._states.RUNNING]):  # by a process that was killed
            study.tell(left.number, state=self._states.FAIL)
            study.enqueue_trial(left.params)
        study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=max(2, round(RANDOM_SHARE * num_trials)),
            constant_liar=True,  # trials side by side do not crowd one place
            seed=len(study.trials),  # a study that goes on does not repeat its first draws
        )
        study.pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION)
        self._study = study
        self._earlier: list[SettingValues] = []
        for trial in study.get_trials(states=[self._states.COMPLETE, self._states.PRUNED]):
            values = self._values_of(trial)
            name = trial_name(values, None)
            if name not in self._told:
                self._earlier.append(values)
                self._told[name] = trial.value if trial.state == self._states.COMPLETE else None

    def ask(self) -> tuple[SettingValues, int | None] | None:
        if self._earlier:
            return self._earlier.pop(0), self._seed
        counted = [self._states.RUNNING, self._states.COMPLETE, self._states.PRUNED]
        while len(self._study.get_trials(deepcopy=False, states=counted)) < self.total:
            trial = self._study.ask()
            values = self._values_of(trial)
            name = trial_name(values, None)
            if name in self._told:
                self._close(trial, self._told[name])
                continue
            siblings = self._open.setdefault(name, [])
            siblings.append(trial)
            if len(siblings) == 1:
                return values, self._seed  # else it is being tried already: its loss will be told for both
        return None

    def tell(self, values: SettingValues, loss: float | None) -> None:
        name = trial_name(values, None)
        self._told[name] = loss
        for trial in self._open.pop(name, []):
            self._close(trial, loss)

    def is_hopeless(self, values: SettingValues, evaluations: Sequence[tuple[float, float]]) -> bool:
        name = trial_name(values, None)
        if name not in self._open:  # an earlier one whose folder is gone: it was judged when it was first tried
            return False
        trial = self._open[name][0]
        known = self._study.get_trials(deepcopy=False)[trial.number].intermediate_values
        for share, loss in evaluations:
            rung = int(share * RUNGS)
            if rung > 0 and rung not in known:
                trial.report(loss, step=rung)
                known = {**known, rung: loss}
                if trial.should_prune():
                    return True
        return False

    def _close(self, trial: Any, loss: float | None) -> None:
        if loss is None:
            self._study.tell(trial, state=self._states.PRUNED)
        else:
            self._study.tell(trial, loss)

    def _values_of(self, trial: Any) -> SettingValues:
        """Draw a new trial's setting, or write out again that of one that was drawn."""
        return {axis.name: _suggest(trial, axis) for axis in self._axes}


def _suggest(trial: Any, axis: Axis) -> str:
    if isinstance(axis, Choices):
        return trial.suggest_categorical(axis.name, axis.values)
    return axis.text(trial.suggest_float(axis.name, axis.low, axis.high, log=True))
