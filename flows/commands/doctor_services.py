"""Checks of the Ray cluster and of the Prefect server that are configured: reachability and authentication."""

from collections.abc import Iterator

import httpx

from flows.commands.findings import Finding, failed, ok, warned
from infra.errors import ClusterError
from infra.settings import PRIVATE_RAY, Settings
from infra.store.files import one_line

TIMEOUT_S = 10.0


def ray_cluster(settings: Settings) -> Iterator[Finding]:
    """Ask the configured cluster, without connecting to it, whether it is there, requires a token and accepts ours."""
    address = settings.ray_address
    if address in {None, PRIVATE_RAY}:
        yield ok("Ray", "no cluster is configured; long scans start a private Ray on this machine")
        return
    # Imported here, because Ray takes seconds to import.
    from infra.ray.cluster import check_cluster
    from infra.ray.cluster_access import Answer, ask

    try:
        used = check_cluster(str(address))
    except ClusterError as error:
        mend = "start the cluster, or correct LENSSCAN_RAY_ADDRESS or RAY_ADDRESS, or the token, as the message says"
        yield failed("Ray", str(error), mend)
        return
    except OSError as error:
        yield failed("Ray", f"its token cannot be read: {error.strerror}", "correct RAY_AUTH_TOKEN_PATH")
        return
    if ask(used) is Answer.GIVEN:
        mend = "start it with RAY_AUTH_MODE=token; anyone who reaches its ports can run code on it"
        yield warned("Ray", f"the cluster at {used} requires no token, and allow_open_cluster accepts that", mend)
    else:
        yield ok("Ray", f"the cluster at {used} answers and accepts the token")


def prefect_server() -> Iterator[Finding]:
    """Ask the configured Prefect server whether it is there, requires a password and accepts ours."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY, PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        yield ok("Prefect", "no server is configured; a scan needs none")
        return
    where = f"the server at {one_line(url)}"
    key = PREFECT_API_KEY.value()
    user, _, password = str(PREFECT_API_AUTH_STRING.value() or "").partition(":")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
            asked = f"{url.rstrip('/')}/admin/version"
            stranger = client.get(asked).status_code
            code = client.get(asked, headers=headers, auth=(user, password) if user else None).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        found = f"{where} does not answer: {one_line(error)}"
        yield failed("Prefect", found, "start it (prefect server start), or correct or unset PREFECT_API_URL")
        return
    if code in {401, 403}:
        found = "is not set" if not (user or key) else "is another one"
        mend = "set PREFECT_API_AUTH_STRING to the PREFECT_SERVER_API_AUTH_STRING that the server was started with"
        yield failed("Prefect", f"{where} requires its password, and the one here {found}", mend)
    elif code != 200:
        yield failed("Prefect", f"{where} answers with HTTP {code}", "PREFECT_API_URL must end in /api of a Prefect 3 server")
    elif stranger == 200:
        mend = "start it with PREFECT_SERVER_API_AUTH_STRING, so that not everyone who reaches it can deploy code"
        yield warned("Prefect", f"{where} answers anyone, without a password", mend)
    else:
        yield ok("Prefect", f"{where} answers and accepts the password")
