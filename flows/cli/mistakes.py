"""One line about a command line that does not fit its command: what is wrong, what is wanted, and where help is."""

import re

from cyclopts import Argument, CycloptsError, MissingArgumentError, UnusedCliTokensError
from docstring_parser import parse

_HELP = "`{command} --help` shows all options"


def one_line_about(error: CycloptsError) -> str:
    """Return the message for the user, without the program's name in front."""
    command = " ".join(("lensscan", *(error.command_chain or ())))
    # A missing option may be one that is misspelt, which cyclopts names.
    if isinstance(error, MissingArgumentError) and error.argument is not None and "Did you mean" not in str(error):
        text = _missing(error, error.argument, command)
    elif isinstance(error, UnusedCliTokensError):
        text = f"there is no place for {', '.join(error.unused_tokens or ())}"
    else:
        text = _with_the_like(str(error).removesuffix("."))
    return f"{' '.join(text.split())}; {_HELP.format(command=command)}"


def _with_the_like(text: str) -> str:
    """Return the message about a wrong choice with the one choice that has the word in it, such as double_ring for ring."""
    word, choices = re.search(r'Invalid value "(.*?)"', text), re.search(r"Choose from: (.*?)\. Did you mean", text)
    alike = [name for name in re.findall('"(.*?)"', choices[1]) if word and word[1] in name] if choices else []
    return re.sub(r'(?<=Did you mean ").*?(?="\?)', alike[0], text) if len(alike) == 1 else text


def _missing(error: MissingArgumentError, argument: Argument, command: str) -> str:
    option = argument.names[0]
    is_positional = argument.index is not None
    if option in (error.unused_tokens or ()):
        n_values, _ = argument.token_count()
        return f"{option} needs {f'{n_values} values' if n_values > 1 else 'a value'}: {_meaning(error, argument)}"
    example = re.search(r"For example: (`.*?`)", (error.target and error.target.__doc__) or "")
    more = f"; for example {example[1]}" if example else ""
    return f"{command} needs {option.strip('-').upper() if is_positional else option}: {_meaning(error, argument)}{more}"


def _meaning(error: MissingArgumentError, argument: Argument) -> str:
    """Return what its own help or the command's docstring says about an option, without its full stop."""
    if argument.parameter.help:
        return argument.parameter.help.removesuffix(".")
    name = argument.names[0].strip("-").replace("-", "_")
    described = {
        entry.arg_name: entry.description or "" for entry in parse((error.target and error.target.__doc__) or "").params
    }
    return described.get(name, "a value").removesuffix(".")
