"""From a command line to arguments: the one function that every script parses through."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from hf_strategies.arguments.checks import belonging_problems, change_problems, find_problems
from hf_strategies.arguments.cooldown import cooldown_problems, read_trunk
from hf_strategies.arguments.help import help_text
from hf_strategies.arguments.host import host_settings
from hf_strategies.arguments.layers import (
    Layer,
    Written,
    find_recipe,
    read_flags,
    read_yaml,
    recipe_names,
    shipped_layers,
    unknown_recipe,
)
from hf_strategies.arguments.merging import Value, merge
from hf_strategies.arguments.prompting_topics import PromptingArguments
from hf_strategies.arguments.settings import Setting, settings_of
from hf_strategies.arguments.topics import (
    DataArguments,
    GuardArguments,
    ModelArguments,
    RunArguments,
    StrategyArguments,
)
from hf_strategies.arguments.tuning_topics import (
    HELP,
    JOB_TOPICS,
    PRETRAIN,
    SCORE,
    SCORED_TASK,
    AugmentationArguments,
    RegularizationArguments,
    TaskArguments,
    WeightArguments,
    takes,
)
from hf_strategies.errors import UserError
from hf_strategies.schedulers.lengths import UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Everything a run was asked for.

    Args:
        job: What is to be done, a key of `JOB_TOPICS`.
        model, data, strategy, guard, run: Our settings, each topic a dataclass.
        task, augmentation, weights, regularization: Those of fine-tuning; as they are by default in other jobs.
        prompting: Those of scoring prompts; as they are by default in other jobs.
        training: The settings of `TrainingArguments` that some layer set.
        values: Every setting that some layer set, with the place that set it.
        name: What the run is called, from its recipe or YAML file.
        recipe: The shipped recipe under it.
        recipe_is_named: Whether its user named that recipe; the job's default one stands under it otherwise.
        notes: What was replaced by what; shown when the run starts.
        argv: The command line as given.
    """

    job: str
    model: ModelArguments
    data: DataArguments
    strategy: StrategyArguments
    guard: GuardArguments
    run: RunArguments
    task: TaskArguments
    augmentation: AugmentationArguments
    weights: WeightArguments
    regularization: RegularizationArguments
    prompting: PromptingArguments
    training: dict[str, Any]
    values: dict[str, Value]
    name: str
    recipe: str
    recipe_is_named: bool
    notes: list[str]
    argv: list[str]

    @property
    def topics(self) -> list[Any]:
        """Our settings, by topic, as far as the job has them."""
        by_class = {type(topic): topic for topic in vars(self).values()}
        return [by_class[topic] for topic in JOB_TOPICS[self.job]]


def all_settings(job: str = PRETRAIN) -> dict[str, Setting]:
    """Every setting of a job by name: ours, then the host's."""
    ours = [setting for topic in JOB_TOPICS[job] for setting in settings_of(topic)]
    own = [replace(setting, help=HELP[job].get(setting.name, setting.help)) for setting in ours]
    if job == SCORE:
        own = [replace(setting, choices=(SCORED_TASK,)) if setting.name == "task" else setting for setting in own]
    return {setting.name: setting for setting in (*own, *host_settings()) if takes(job, setting.name)}


def parse_arguments(
    argv: Sequence[str] | None,
    *,
    description: str,
    default_recipe: str,
    job: str = PRETRAIN,
    recipe_is_open: bool = False,
) -> Arguments:
    """Layer a recipe, a YAML file and flags into arguments; `--help` prints and exits.

    Args:
        argv: Command line without the program's name; None takes the process's own.
        description: The script's docstring: what it does, with commands that work.
        default_recipe: Shipped recipe under a command line that names none.
        job: What is to be done, a key of `JOB_TOPICS`.
        recipe_is_open: Whether, where none is named, another recipe may be chosen by what is read here; it may set
            what a flag belongs to.

    Raises:
        UserError: One line per mistake, all of them at once, each with where it stands.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    settings = all_settings(job)
    if "--help" in argv or "-h" in argv:
        there, _ = merge(shipped_layers(default_recipe, job), settings, [])
        shown = {**settings, **{name: replace(settings[name], default=there[name].value) for name in there}}
        print(help_text(description, shown, recipes=recipe_names(job), default_recipe=default_recipe))
        raise SystemExit(0)

    problems: list[str] = []
    flags, loose = read_flags(argv, settings, problems)
    problems += [f"{word}: expected one recipe or YAML file, then --flags" for word in loose[1:]]
    named = loose[0] if loose else default_recipe
    layers, base, name = _file_layers(named, default_recipe, job, problems)
    recipe_is_named = bool(loose) and base is not None
    recipe = base or default_recipe
    trunk = None
    for layer in (*layers, flags):
        if (branching := layer.values.get("cooldown_from")) is not None and branching.value is not None:
            checkpoint = Path(str(branching.value))
            try:
                trunk = read_trunk(checkpoint)
            except UserError as error:
                problems.append(f"{branching.where}: {error}")
            else:
                recipe = str(trunk.values.pop("recipe", Written(recipe, "")).value)
                name = f"{checkpoint.absolute().parent.name}-cooldown"
    if trunk is not None:
        if loose and named in recipe_names(job):
            problems.append(f"{named}: a cooldown stands on the settings of its trunk, not on a recipe")
        layers[0] = trunk
    merged, notes = merge([*layers, flags], settings, problems)
    shrinks = "scale_to" in merged and merged["scale_to"].value is not None
    checked = merged
    if shrinks and "max_steps" in merged:  # phases are too long for it until they shrink
        checked = {**merged, "max_steps": Value(UNKNOWN, merged["max_steps"].where)}
    problems += [*find_problems(checked, job), *change_problems(merged, settings), *cooldown_problems(merged, trunk)]
    if recipe_is_named or not recipe_is_open:
        problems += belonging_problems(merged)
    if shrinks and not problems:
        from hf_strategies.arguments.scaling import scale  # here, since it counts parameters by torch

        merged, said = scale(merged, merge(layers, settings, [])[0])
        notes += said
        problems += find_problems(merged, job)
    if problems:
        raise UserError("\n".join(problems))

    host = {setting.name for setting in host_settings()}
    return Arguments(
        job=job,
        model=_fill(ModelArguments, merged),
        data=_fill(DataArguments, merged),
        strategy=_fill(StrategyArguments, merged),
        guard=_fill(GuardArguments, merged),
        run=_fill(RunArguments, merged),
        task=_fill(TaskArguments, merged),
        augmentation=_fill(AugmentationArguments, merged),
        weights=_fill(WeightArguments, merged),
        regularization=_fill(RegularizationArguments, merged),
        prompting=_fill(PromptingArguments, merged),
        training={key: item.value for key, item in merged.items() if key in host},
        values=merged,
        name=name,
        recipe=recipe,
        recipe_is_named=recipe_is_named,
        notes=notes,
        argv=argv,
    )


def _file_layers(
    named: str, default_recipe: str, job: str, problems: list[str]
) -> tuple[list[Layer], str | None, str]:
    """Read the file that was named and the recipe under it.

    A user's YAML stands on the shipped recipe that its `recipe:` line names, or on the job's default one. A file or a
    recipe that is not there is a problem like others: the default recipe takes its place, to find the rest of them.

    Returns:
        The layers, the recipe's name or None where a file names none, and the run's name.
    """
    try:
        path = find_recipe(named, job)
        layer = read_yaml(path, str(path))
    except UserError as error:
        problems.append(str(error))
        named = default_recipe
    known = recipe_names(job)
    if named in known:
        return shipped_layers(named, job), named, named
    base = layer.values.pop("recipe", None)
    if base is None or base.value is None:
        return [*shipped_layers(default_recipe, job), layer], None, path.stem
    if base.value not in known:
        problems.append(f"{base.where}: {unknown_recipe(base.value, job)} (known: {', '.join(known)})")
        return [*shipped_layers(default_recipe, job), layer], None, path.stem
    return [*shipped_layers(base.value, job), layer], base.value, base.value


def _fill(topic: type, merged: dict[str, Value]) -> Any:
    return topic(**{item.name: merged[item.name].value for item in fields(topic) if item.name in merged})
