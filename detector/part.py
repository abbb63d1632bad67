"""Base of what a spec is made of."""

import pydantic


class Part(pydantic.BaseModel):
    """Base of all parts: immutable, unknown keys refused."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
