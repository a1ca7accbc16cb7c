"""One-line messages for errors between a flow and its Prefect server."""

import traceback

import httpx
from prefect.exceptions import ParameterTypeError
from prefect.settings import PREFECT_API_URL

from infra.store.files import one_line

_CLIENT = {"prefect", "httpx", "httpcore", "anyio"}
"""Packages that talk with the server; an error that they raise is not one of the flow's own code."""


def server_trouble(error: Exception) -> str | None:
    """Return a message for the user, or None if the error has another cause than server or parameters of a flow."""
    if isinstance(error, ParameterTypeError):
        return one_line(str(error))
    url = PREFECT_API_URL.value()
    server = f"the Prefect server at {one_line(url)}" if url else "the Prefect server that --flow started on this machine"
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code in {401, 403}:
        return f"{server} refuses: PREFECT_API_AUTH_STRING must be the PREFECT_SERVER_API_AUTH_STRING that it was started with"
    if not isinstance(error, httpx.HTTPError) and _package_of(error) not in _CLIENT:
        return None
    advice = "start it or unset PREFECT_API_URL, then repeat the command" if url else "repeat the command, or leave out --flow"
    return f"{server} does not answer: {advice}; written files are kept"


def _package_of(error: Exception) -> str:
    """Return the name of the package whose code raised the error."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__", "")).partition(".")[0] if frames else ""
