"""What can go wrong between a flow and its Prefect server, in a line for the terminal."""

import httpx
from prefect.settings import PREFECT_API_URL

from infra.store.files import one_line


def server_trouble(error: Exception) -> str | None:
    """What to tell a person; None of an error that has another cause."""
    server = f"the Prefect server at {one_line(PREFECT_API_URL.value() or 'loopback')}"
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code in {401, 403}:
        return f"{server} refuses: PREFECT_API_AUTH_STRING must be the PREFECT_SERVER_API_AUTH_STRING that it was started with"
    # What Prefect raises when the first call of a flow fails; later ones raise httpx's own.
    if isinstance(error, httpx.TransportError) or (isinstance(error, RuntimeError) and "Failed to reach API" in str(error)):
        return f"{server} does not answer: start it, or unset PREFECT_API_URL; what is written stays, the same command goes on"
    return None
