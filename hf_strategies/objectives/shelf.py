"""The objectives that can be chosen by name.

What is shelved is a pure function `(logits, labels, *, num_items=None, **settings) -> loss`: the sum over the items of
this batch divided by `num_items`, or by their own number where that is None. Handed the number of items of a whole
update, over all ranks and micro-batches, the losses of the parts add up to the loss of the whole.

The facts: `hyperparameters` are what a user may set; `items` says what the labels are and which of them count (a key
of `items.COUNTED`); `evaluated_by` names the objective that evaluations show, without settings, so that runs that
differ in theirs can be compared.
"""

from hf_strategies.registry import Registry

OBJECTIVES: Registry = Registry("objective")

OBJECTIVES.add(
    "cross_entropy",
    "hf_strategies.objectives.classification:cross_entropy",
    summary="one class per row or token, hard or soft; label smoothing, class weights",
    paper="https://arxiv.org/abs/1512.00567",
    hyperparameters=("label_smoothing", "class_weights"),
    items="classes",
    evaluated_by="cross_entropy",
)
OBJECTIVES.add(
    "focal",
    "hf_strategies.objectives.classification:focal",
    summary="cross entropy that turns from what is already right to what is not, for rare classes",
    paper="https://arxiv.org/abs/1708.02002",
    hyperparameters=("gamma", "class_weights"),
    items="classes",
    evaluated_by="cross_entropy",
)
OBJECTIVES.add(
    "binary_cross_entropy",
    "hf_strategies.objectives.classification:binary_cross_entropy",
    summary="any number of classes per row, each there or not; weights for those that are there",
    hyperparameters=("positive_weights",),
    items="flags",
    evaluated_by="binary_cross_entropy",
)
OBJECTIVES.add(
    "mean_squared_error",
    "hf_strategies.objectives.regression:mean_squared_error",
    summary="numbers, their mean squared error",
    hyperparameters=(),
    items="values",
    evaluated_by="mean_squared_error",
)
OBJECTIVES.add(
    "huber",
    "hf_strategies.objectives.regression:huber",
    summary="numbers, squared error for small errors and absolute for large: outliers pull less",
    paper="https://doi.org/10.1214/aoms/1177703732",
    hyperparameters=("delta",),
    items="values",
    evaluated_by="mean_squared_error",
)
