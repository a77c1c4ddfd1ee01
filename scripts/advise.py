"""Should you train a transformer? What else would do, what it costs, and what more data would change.

python scripts/advise.py --train_file questions.csv --text_column question --label_column type --budget 10m
    texts: the commonest class, a regression on words, an LSTM and a small transformer, on growing shares of the rows
python scripts/advise.py --train_file reviews.jsonl --model_name_or_path distilbert-base-uncased --budget 1h
    a checkpoint, fine-tuned, beside them
python scripts/advise.py --train_file photos/ ; python scripts/advise.py --task image-classification
    a folder or zip of images; the handwritten digits that scikit-learn ships
python scripts/advise.py --train_file clips.npz ; python scripts/advise.py --train_file sequences.npz
    clips [n, channels, frames, height, width]; sequences of numbers [n, steps] or [n, steps, channels]; labels [n]

The rest of the line is that of scripts/finetune.py. Nothing is tuned: contenders train with rates and lengths that
suit most data, cut short where the budget ends. The cheapest of those that chance cannot tell from the best is what
is advised.
"""

import sys
from collections.abc import Sequence

from hf_strategies.arguments.help import help_text
from hf_strategies.arguments.settings import settings_of
from hf_strategies.planning.advice_request import AdviceOptions, is_transformer, parse_advice
from hf_strategies.runs.script import script


@script
def main(argv: Sequence[str] | None = None) -> None:
    """Give advice on the data that the command line names."""
    words = list(sys.argv[1:] if argv is None else argv)
    if {"--help", "-h"} & set(words) or not words:
        own = {setting.name: setting for setting in settings_of(AdviceOptions)}
        print(help_text(__doc__, own, recipes=[], default_recipe="finetune"))
        return
    request = parse_advice(words)
    # Imported here, since it takes seconds: a refused command line and --help answer first.
    from hf_strategies.planning.advice import give_advice, open_advice_folder, settle_problem
    from hf_strategies.planning.advice_report import PAGE, PICTURE, report_advice

    problem = settle_problem(request)
    folder = open_advice_folder(request)
    print(f"advice    {folder}", flush=True)
    advice = give_advice(problem, lambda line: print(line, flush=True))
    sides = problem.sides
    data = (
        f"{len(sides.train):,} examples of {len(problem.names)} classes, judged by {len(sides.validation):,} others."
    )
    said = report_advice(
        advice,
        folder,
        title=f"Advice on {request.kind}s: train {advice.chosen.name}",
        data=data,
        transformers=[name for name in request.contenders if is_transformer(name)],
        budget=request.seconds,
    )
    print(f"\n{said}\npicture   {folder / PICTURE}\nreport    {folder / PAGE}", flush=True)


if __name__ == "__main__":
    main()
