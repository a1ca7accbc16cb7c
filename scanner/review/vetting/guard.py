"""Which requests the server of the page answers: those of its own page alone, in a browser that knows the token.

The server listens on loopback, but any site that is open in the same browser can send requests there. It is stopped by four
checks: the name in `Host` (a name that resolves to 127.0.0.1 is refused), the token in a cookie that the browser sends for
requests of the page alone, `Sec-Fetch-Site`, and `Origin` for requests that change something.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

PARAMETER = "token"
"""Name of the parameter of the address that the command prints."""


@dataclass(frozen=True)
class Guard:
    """The token of a server, and the port on which it listens."""

    token: str
    port: int

    @property
    def cookie(self) -> str:
        """Name of the cookie; cookies are shared among the ports of a machine, so each server has a name of its own."""
        return f"lensscan_vet_{self.port}"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/?{PARAMETER}={self.token}"

    def refusal(
        self, method: str, path: str, headers: Mapping[str, str], query: Mapping[str, str], cookies: Mapping[str, str]
    ) -> str | None:
        """Return why a request is refused; None for one of the page. Names of `headers` are in lower case."""
        hosts = {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}
        host = headers.get("host", "")
        if host not in hosts:
            return f"this server is called 127.0.0.1:{self.port}"
        has_token_in_address = path == "/" and method == "GET" and self._fits(query.get(PARAMETER, ""))
        if not has_token_in_address and not self._fits(cookies.get(self.cookie, "")):
            return "the address lacks the token: open the address that `lensscan vet` prints"
        # Whoever opens the address knows the token, from whatever page.
        if not has_token_in_address and headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            return "this request comes from another site"
        if method != "GET" and headers.get("origin") != f"http://{host}":
            return "this request does not come from the page"
        return None

    def _fits(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())
