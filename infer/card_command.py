"""The command of the card's own tool, as a pure function of the options."""

from dataclasses import fields

from infer.contract.options import SPELLINGS, Options

# Options whose names on the command line are not those of the fields (docs/facts/ais_bench.md, section 1).
NAMES = {**SPELLINGS, "dym_hw": "dymHW", "dym_dims": "dymDims", "dym_shape": "dymShape"}
OURS = ("strict_paths", "fresh")


def ais_bench_command(options: Options, *, python: str = "python3") -> list[str]:
    """The command line of the real tool: every option that is not at its default, spelled out.

    Prefixes of option names and values of switches are written in full, in one order: the tool records its command line
    in the summary, and equal runs should look equal there.

    Args:
        options: of the run, its gear settled.
        python: interpreter that has ais_bench.
    """
    default = Options()
    command = [python, "-m", "ais_bench"]
    for field in fields(Options):
        value = getattr(options, field.name)
        if value != getattr(default, field.name) and field.name not in OURS:
            command += [f"--{NAMES.get(field.name, field.name)}", _text(value)]
    return command


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"  # switches take a value, there are no bare flags
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
