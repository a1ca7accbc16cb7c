"""One-line messages for errors between a flow and its Prefect server."""

import httpx
from prefect.settings import PREFECT_API_URL

from infra.store.files import one_line


def server_trouble(error: Exception) -> str | None:
    """Return a message for the user, or None if the error has another cause."""
    server = f"the Prefect server at {one_line(PREFECT_API_URL.value() or 'loopback')}"
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code in {401, 403}:
        return f"{server} refuses: PREFECT_API_AUTH_STRING must be the PREFECT_SERVER_API_AUTH_STRING that it was started with"
    # Prefect raises RuntimeError if the first call of a flow fails; later calls raise the errors of httpx.
    if isinstance(error, httpx.TransportError) or (isinstance(error, RuntimeError) and "Failed to reach API" in str(error)):
        return f"{server} does not answer: start it or unset PREFECT_API_URL, then repeat the command; written files are kept"
    return None
