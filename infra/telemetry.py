"""Report no usage statistics unless the user asks for it."""

import os

OPT_OUTS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


def opt_out() -> None:
    """Switch off the usage statistics of libraries; a variable that is already set keeps its value."""
    for name, value in OPT_OUTS.items():
        os.environ.setdefault(name, value)
