"""Which requests are answered: a table of headers, as browsers send them for the page and for other sites."""

import pytest

from scanner.review.vetting.guard import Guard

GUARD = Guard("secret", 8123)
OWN, COOKIE = "127.0.0.1:8123", {"lensscan_vet_8123": "secret"}
ORIGIN = "http://127.0.0.1:8123"


def refusal(method="GET", path="/api/state", host=OWN, token="", cookies=COOKIE, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return GUARD.refusal(method, path, {"host": host, **named}, {"token": token} if token else {}, cookies)


@pytest.mark.parametrize(
    "request_",
    [
        {"path": "/", "token": "secret", "cookies": {}},
        {"path": "/", "token": "secret", "cookies": {}, "sec_fetch_site": "cross-site"},
        {"path": "/"},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"host": "localhost:8123"},
        {"method": "POST", "origin": ORIGIN, "sec_fetch_site": "same-origin"},
        {"method": "POST", "host": "localhost:8123", "origin": "http://localhost:8123"},
    ],
)
def test_requests_of_the_page_are_answered(request_):
    assert refusal(**request_) is None


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        # DNS rebinding: a name of the attacker resolves to this machine.
        ({"host": "evil.example:8123"}, "called 127.0.0.1:8123"),
        ({"host": "127.0.0.1:9999"}, "called 127.0.0.1:8123"),
        ({"host": "127.0.0.1"}, "called 127.0.0.1:8123"),
        ({"host": ""}, "called 127.0.0.1:8123"),
        ({"path": "/", "token": "secret", "host": "evil.example:8123"}, "called 127.0.0.1:8123"),
        ({"cookies": {}}, "lacks the token"),
        ({"cookies": {"lensscan_vet_8123": "wrong"}}, "lacks the token"),
        ({"cookies": {"lensscan_vet_8123": ""}}, "lacks the token"),
        ({"cookies": {"lensscan_vet_9": "secret"}}, "lacks the token"),
        ({"path": "/", "token": "wrong", "cookies": {}}, "lacks the token"),
        ({"path": "/", "token": "secr\u00e9t", "cookies": {}}, "lacks the token"),
        # The token in an address opens the page alone, and changes nothing.
        ({"path": "/api/state", "token": "secret", "cookies": {}}, "lacks the token"),
        ({"method": "POST", "path": "/", "token": "secret", "cookies": {}, "origin": ORIGIN}, "lacks the token"),
        # A page on another port of this machine gets the cookie sent along.
        ({"sec_fetch_site": "same-site"}, "another site"),
        ({"sec_fetch_site": "cross-site"}, "another site"),
        ({"method": "POST"}, "does not come from the page"),
        ({"method": "POST", "origin": "null"}, "does not come from the page"),
        ({"method": "POST", "origin": "https://evil.example"}, "does not come from the page"),
        ({"method": "POST", "origin": "http://localhost:8123"}, "does not come from the page"),
        ({"method": "POST", "origin": "http://127.0.0.1:9999"}, "does not come from the page"),
        ({"method": "PUT", "origin": ""}, "does not come from the page"),
    ],
)
def test_other_requests_are_refused(request_, reason):
    assert reason in refusal(**request_)
