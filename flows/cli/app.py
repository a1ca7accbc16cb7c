"""The command line application, and the argument types that its commands share."""

from importlib.metadata import version
from typing import Annotated

from cyclopts import App, Parameter, validators

from scanner.vocabulary.choices import MOST_MAPS_PER_UNIT

app = App(
    name="lensscan",
    help="Find strong gravitational lenses in survey tiles, compound lenses first.",
    version=lambda: version("lensscan"),
    help_format="markdown",
    # Ctrl-C is handled in interrupt.py.
    suppress_keyboard_interrupt=False,
)
app.register_install_completion_command(help="Install completion for your shell.")

NotNegative = Annotated[int, Parameter(validator=validators.Number(gte=0))]
Positive = Annotated[int, Parameter(validator=validators.Number(gte=1))]
AboveZero = Annotated[float, Parameter(validator=validators.Number(gt=0))]
MapsPerUnit = Annotated[int, Parameter(validator=validators.Number(gte=0, lte=MOST_MAPS_PER_UNIT))]
Fraction = Annotated[float, Parameter(validator=validators.Number(gte=0, lte=1))]
AsFlow = Annotated[bool, Parameter(negative=())]
