"""Every command of `lensscan`, with its words after the program's name."""

from flows.cli.main import app


def _commands(of, words):
    for name in of:
        if not name.startswith("-"):
            if of[name].default_command is not None:
                yield (*words, name), of[name]
            yield from _commands(of[name], (*words, name))


APPS = dict(_commands(app, ()))
"""Maps the words of each command to its part of the program."""
COMMANDS = [list(words) for words in APPS]
