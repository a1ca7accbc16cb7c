"""The browser of the tests runs scripts, reaches loopback only, and reports what a page does wrong."""

import pytest

from tests.browser import LAPTOP, Watched, require_browser


def test_a_page_runs_its_scripts(new_page):
    page = new_page()
    page.set_content("<p id=p></p><script>p.textContent = innerWidth</script>")
    assert page.inner_text("#p") == str(LAPTOP["width"])


@pytest.mark.parametrize("url", ["http://192.0.2.1/x", "http://example.com/x"])
def test_requests_that_leave_this_machine_fail_and_are_reported(browser, url):
    watched = Watched()
    page = watched.page(browser)
    page.set_content(f"<script>fetch('{url}').catch(error => document.title = 'refused')</script>")
    page.wait_for_function("document.title == 'refused'")
    assert f"request of {url}" in watched.troubles
    assert any("ERR_NAME_NOT_RESOLVED" in trouble for trouble in watched.troubles)


def test_errors_of_a_page_are_reported_unless_ignored(browser):
    watched = Watched()
    for ignored in (None, "known"):
        page = watched.page(browser, ignored=ignored)
        page.set_content(
            "<script>console.error('known'); console.log('fine'); setTimeout(() => { throw Error('thrown') })</script>"
        )
        page.wait_for_timeout(50)
    assert watched.troubles == ["console: known", "error: thrown", "error: thrown"]


def test_without_a_browser_tests_skip_unless_it_is_required(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LENSSCAN_REQUIRE_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs a browser: apt-get install"):
        require_browser()
    monkeypatch.setenv("LENSSCAN_REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="needs a browser: apt-get install"):
        require_browser()
