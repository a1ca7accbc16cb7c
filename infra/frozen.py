"""The base of all validated records."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A validated record whose fields cannot be set after its creation; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
