"""The root of every error that a person can mend: the command line shows its text, never a traceback."""


class LensscanError(Exception):
    """Bad input, a store that cannot be used, a package that does not match: the message says what to do."""
