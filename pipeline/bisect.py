"""What `python -m convert bisect` becomes: trials of simulated graphs through all stages, and what they find."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from detector.errors import SpecError


def bisect_command(argv: Sequence[str], say: Callable[[str], None]) -> None:
    """Run it.

    Args:
        argv: its options.
        say: writes one line of result.
    """
    from convert.precision.command import bisect_options, plan_with_rules

    args = bisect_options().parse_args(argv)
    from convert.precision.bisect import bisect
    from convert.precision.files import write_keep
    from convert.precision.simulate import card_graph, stand_in
    from convert.product_graphs import frozen_graph
    from detector.files.atomic import make_folder
    from detector.products.manifest_files import bins_of_canvas
    from pipeline.trials import Trials

    accept = args.accept if args.accept is not None else (0.1 if args.annotations_path else 1.0)
    # A repair at one shape is one at all: the gears of an OM share their operators.
    plan, rules = plan_with_rules(args, with_gears=False)
    if plan.spec.atc.nms == "host" and not args.annotations_path:
        raise SpecError("atc.nms 'host' leaves suppression to postprocess: bisect needs --annotations_path to score it")
    frozen = frozen_graph(plan)
    card, exact = card_graph(plan, frozen), stand_in(plan, frozen)
    card.warn_of_unread(rules)
    with tempfile.TemporaryDirectory(prefix="convert-bisect.") as folder:
        trials = Trials(Path(folder), card.spec)
        if args.bins:
            trials.take_bins(bins_of_canvas(args.bins, plan.spec.canvas), count=args.images)
        else:
            trials.preprocess(exact, args.image_src_path, count=args.images)
        trials.compare_with(exact, args.annotations_path)
        found = bisect(card, rules, trials.loss, accept=accept, runs=args.runs)
    output: Path = args.output or Path("om_models") / f"{plan.spec.name}.keep_dtype.txt"
    make_folder(output.parent)
    write_keep(output, [*sorted(rules.keep.names), *found.names])
    for name in found.names:
        say(name)
    say(json.dumps({
        "keep_dtype": str(output), "nodes": len(found.names), "loss": found.loss, "loss_without": found.loss_without,
        "loss_with_all": found.loss_at_best, "runs": found.runs, "is_minimal": found.is_minimal,
        "float16_inside": card.types_inside(rules),
    }))  # fmt: skip
