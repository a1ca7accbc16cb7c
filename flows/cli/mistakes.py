"""One line about a command line that does not fit its command: what is wrong, what is wanted, and where help is."""

from cyclopts import Argument, CycloptsError, MissingArgumentError, UnusedCliTokensError
from docstring_parser import parse

_HELP = "`{command} --help` shows all options"


def one_line_about(error: CycloptsError) -> str:
    """Return the message for the user, without the program's name in front."""
    command = " ".join(("lensscan", *(error.command_chain or ())))
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        text = _missing(error, error.argument, command)
    elif isinstance(error, UnusedCliTokensError):
        text = _unused(error)
    else:
        text = str(error).removesuffix(".")
    return f"{' '.join(text.split())}; {_HELP.format(command=command)}"


def _missing(error: MissingArgumentError, argument: Argument, command: str) -> str:
    option = argument.names[0]
    is_positional = argument.index is not None
    if option in (error.unused_tokens or ()):
        return f"{option} needs a value: {_meaning(error, option)}"
    return f"{command} needs {option.strip('-').upper() if is_positional else option}: {_meaning(error, option)}"


def _meaning(error: MissingArgumentError, option: str) -> str:
    """Return what the command's docstring says about an option, without its full stop."""
    name = option.strip("-").replace("-", "_")
    described = {
        entry.arg_name: entry.description or "" for entry in parse((error.target and error.target.__doc__) or "").params
    }
    return described.get(name, "a value").removesuffix(".")


def _unused(error: UnusedCliTokensError) -> str:
    """Name the arguments that are left over, and a comma with a space behind it, which the shell takes for two arguments."""
    unused = list(error.unused_tokens or ())
    before = list(error.root_input_tokens or ())
    text = f"there is no place for {', '.join(unused)}"
    at = before.index(unused[0]) if unused and unused[0] in before else 0
    if at and before[at - 1].endswith(","):
        return f"{text}: write lists without spaces, such as {before[at - 1]}{unused[0]}"
    return text
