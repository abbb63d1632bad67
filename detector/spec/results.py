"""Results: what export and convert found. A YAML file may say of it what `network` must be."""

from typing import Any

import pydantic
from pydantic import Field

from detector.spec.strict_model import StrictModel

Fact = bool | int | float | str
MOST = 1e15  # of a fact about a network: no setting has such a number


class Checkpoint(StrictModel):
    """The weights an exported model was made from."""

    file: str
    sha256: str
    dialect: str


class Results(StrictModel):
    """What became known of one detector on its way.

    The rows before suppression, which convert finds, stand beside what decides them: `AtcSpec.candidates`.

    Attributes:
        network: facts about the network; in YAML what the file must say (compared with the weights), after export what
            it says.
        checkpoint: set by export.
        departures: set by export: where this spec departs from how the training framework runs the model.
        precision: set by `convert simulate`: the card's numbers that this model computes with on the CPU.
    """

    network: dict[str, Fact] = Field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    departures: tuple[str, ...] = ()
    precision: str | None = None

    @pydantic.field_validator("network", mode="before")
    @classmethod
    def _facts_are_finite(cls, network: Any) -> Any:
        for name, value in network.items() if isinstance(network, dict) else ():
            if isinstance(value, int | float) and not abs(value) <= MOST:  # neither is NaN
                raise ValueError(f"{name} must be a finite number of at most {MOST:g}, got {value}")
            if type(value) not in (bool, int, float, str):
                form = "a number, a truth value, or a text: several numbers are one with commas, such as '8,16'"
                raise ValueError(f"{name} must be {form}, got {str(value)[:80]!r}")
        return network
