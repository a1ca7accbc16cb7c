"""The requests that the server answers: those of its own page alone, in a browser that knows the token.

The server listens on loopback, but any site that is open in the same browser can send requests there, and so can other users
of the machine. They are stopped by the token, which the page sends with every request; by the name in `Host`, as a name of
another site may resolve to 127.0.0.1; by `Sec-Fetch-Site`; and by `Origin` for requests that change something. The token is no
cookie: browsers send cookies of 127.0.0.1 to servers on all its ports.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

PARAMETER, HEADER = "token", "x-lensscan-token"
"""Names under which the token comes: in the addresses of the page and its files, and in the headers of all other requests."""
DATA = "/api/"
"""Beginning of the paths of all that is not the page and its files."""


@dataclass(frozen=True)
class Guard:
    """The token of a server, and the port on which it listens."""

    token: str
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/?{PARAMETER}={self.token}"

    def refusal(self, method: str, path: str, headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
        """Return why a request is refused; None for one of the page. Names of `headers` are in lower case."""
        host = headers.get("host", "")
        if host not in {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}:
            return f"this server is called 127.0.0.1:{self.port}"
        given = headers.get(HEADER, "") if path.startswith(DATA) else query.get(PARAMETER, "")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return "the token is missing or old: open the address that `lensscan vet` prints"
        # The page may be opened by a link in another program; all else is asked for by the page.
        if path != "/" and headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            return "this request comes from another site"
        if method != "GET" and headers.get("origin") != f"http://{host}":
            return "this request does not come from the page"
        return None
