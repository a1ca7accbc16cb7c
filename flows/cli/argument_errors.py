"""The text about arguments that the command line cannot use, in one line."""

from cyclopts import CycloptsError, MissingArgumentError


def argument_error(error: CycloptsError) -> str:
    """Return the text for a wrong or missing argument; a missing one is named with its meaning."""
    argument, text = error.argument, " ".join(str(error).split())
    if not isinstance(error, MissingArgumentError) or argument is None or "Did you mean" in text:
        return text
    name = argument.field_info.name
    meaning = f": {description}" if (description := _meaning(error, name)) else ""
    if error.keyword or argument.tokens:
        return f"{error.keyword or argument.name} needs a value{meaning}"
    shown = name.upper() if argument.field_info.is_positional else argument.name
    return f"{' '.join(error.command_chain or ())} needs {shown}{meaning}"


def _meaning(error: CycloptsError, name: str) -> str:
    """Return the description of an argument in the docstring of its command."""
    if error.app is None:
        return ""
    described = error.app.assemble_argument_collection(parse_docstring=True)
    return next((argument.parameter.help or "" for argument in described if argument.field_info.name == name), "")
