"""The files of the page: complete, without anything that a strict policy or an offline page forbids."""

import base64
import hashlib
import re
from importlib.resources import files

import pytest

import scanner.review.vetting
from scanner.review.vetting.page_files import _SCRIPTS, page_file, page_version, script, served_files, served_page, single_page
from scanner.review.votes.vote import Vote

PAGE = files(scanner.review.vetting).joinpath("page")


def test_every_file_of_the_page_is_used():
    assert {path.name for path in PAGE.iterdir()} == {"index.html", "style.css", *_SCRIPTS}


@pytest.mark.parametrize("name", ["index.html", *_SCRIPTS])
def test_nothing_is_read_as_code_or_loaded_from_elsewhere(name):
    text = page_file(name)
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|https?://|\son\w+=|style="
    assert re.findall(forbidden, text) == []


def test_files_stay_readable():
    assert {path.name: n for path in PAGE.iterdir() if (n := len(path.read_text().splitlines())) > 420} == {}


def test_the_served_page_names_the_served_files():
    assert set(re.findall(r'(?:src|href)="page/([^"?]+)\?a=b"', served_page("a=b"))) == set(served_files())


def test_one_file_holds_everything_and_trusts_only_its_own_parts():
    page = single_page({"text": "</script><script>alert(1)</script>"})
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["data:,"]
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert page.count("<script>") == 1
    assert "unsafe" not in policy
    assert "connect-src" not in policy
    assert policy.startswith("default-src 'none'")


def test_the_version_changes_with_the_page(monkeypatch):
    before = page_version()
    assert re.fullmatch("[0-9a-f]{12}", before)
    for function in (page_version, page_file):
        function.cache_clear()
    monkeypatch.setattr("scanner.review.vetting.page_files._SCRIPTS", _SCRIPTS[:-1])
    assert page_version() != before
    page_version.cache_clear()


def test_the_table_has_the_fields_of_a_vote():
    (columns,) = re.findall(r"const COLUMNS = \[(.*?)\]", script(), re.DOTALL)
    assert re.findall(r'"(\w+)"', columns) == list(Vote.model_fields)
