"""The name of the account that runs this process."""

import getpass
import os


def account_name() -> str:
    """Return the name of the account; its number where the system has no name for it, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
