"""The requests that are answered: a table of headers, as browsers send them for the page and for other sites."""

import pytest

from scanner.review.vetting.guard import Guard

GUARD = Guard("secret", 8123)
OWN, ORIGIN = "127.0.0.1:8123", "http://127.0.0.1:8123"


def refusal(method="GET", path="/api/state", host=OWN, token="", x_lensscan_token="secret", **headers):  # noqa: S107 - of no server
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"host": host, "x-lensscan-token": x_lensscan_token, **named}
    return GUARD.refusal(method, path, sent, {"token": token} if token else {})


@pytest.mark.parametrize(
    "request_",
    [
        {"path": "/", "token": "secret", "x_lensscan_token": ""},
        {"path": "/", "token": "secret", "sec_fetch_site": "cross-site"},
        {"path": "/page/script.js", "token": "secret", "x_lensscan_token": "", "sec_fetch_site": "same-origin"},
        {},
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
        ({"x_lensscan_token": ""}, "token is missing or old"),
        ({"x_lensscan_token": "wrong"}, "token is missing or old"),
        ({"x_lensscan_token": "secr\u00e9t"}, "token is missing or old"),
        # Each way has its place: the header cannot be sent by a link or a form of another site.
        ({"token": "secret", "x_lensscan_token": ""}, "token is missing or old"),
        ({"path": "/"}, "token is missing or old"),
        ({"path": "/page/script.js", "token": "wrong"}, "token is missing or old"),
        ({"path": "/", "token": "secr\u00e9t"}, "token is missing or old"),
        ({"sec_fetch_site": "same-site"}, "another site"),
        ({"sec_fetch_site": "cross-site"}, "another site"),
        ({"path": "/page/script.js", "token": "secret", "sec_fetch_site": "cross-site"}, "another site"),
        ({"method": "POST"}, "does not come from the page"),
        ({"method": "POST", "origin": "null"}, "does not come from the page"),
        ({"method": "POST", "origin": "https://evil.example"}, "does not come from the page"),
        ({"method": "POST", "origin": "http://localhost:8123"}, "does not come from the page"),
        ({"method": "POST", "origin": "http://127.0.0.1:9999"}, "does not come from the page"),
        ({"method": "PUT", "origin": ""}, "does not come from the page"),
        ({"method": "POST", "path": "/", "token": "secret", "origin": "https://evil.example"}, "does not come from the page"),
    ],
)
def test_other_requests_are_refused(request_, reason):
    assert reason in refusal(**request_)
