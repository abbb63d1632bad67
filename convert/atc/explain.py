"""`python -m convert explain`: the codes and logs of atc and of the card, told as cause and next step."""

import json
from collections.abc import Callable, Sequence

from detector import cli
from detector.diagnosis.answer import answer
from detector.diagnosis.log import Complaint
from detector.diagnosis.told import document, lines_of

EPILOG = """examples:
  python -m convert explain E10016
  python -m convert explain 507011
  python -m convert explain om_models/demo_bs8.atc.log

Of a log the first cause is told with its next step, then what follows from it. Exit code 0 although the log tells of a
failure: that is what was asked. The last line of stdout is one JSON object.
"""
SUCCESS = "ATC run success"


def explain_command(argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Parse, look up, print.

    Args:
        argv: after the word `explain`.
        say: writes a line to standard output.

    Raises:
        ArtifactError: neither a code nor a file.
    """
    options = cli.Parser(prog="python -m convert explain", description=__doc__, epilog=EPILOG)
    options.add_argument(
        "what",
        type=cli.given,
        nargs="+",
        metavar="CODE|LOG",
        help="codes such as E10016, EZ3003 or 507011, or a log of atc or ais_bench",
    )
    told: list[tuple[list[Complaint], list[str]]] = [answer(what) for what in options.parse_args(argv).what]
    succeeded = any(SUCCESS in line for _, lines in told for line in lines)
    for complaints, _ in told:
        for line in lines_of(complaints):
            say(line)
    if not any(complaints for complaints, _ in told):
        say(
            "atc succeeded, without a complaint" if succeeded else "no error code in it; set atc.log: debug to see more"
        )
    entries = [entry for complaints, _ in told for entry in document(complaints)]
    say(json.dumps({"succeeded": succeeded, "complaints": entries}))
    return 0
