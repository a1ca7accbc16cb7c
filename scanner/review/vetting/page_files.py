"""The files of the page, and the page as one file."""

import base64
import functools
import hashlib
import json
from importlib.resources import files
from typing import Any

STYLE, SCRIPT = "style.css", "script.js"
"""Names of the files that the page loads."""
_SCRIPTS = (
    *("look.js", "stretch.js", "picture.js", "acts.js", "table.js", "source.js", "keys.js", "view.js", "album.js"),
    *("kept_names.js", "work.js", "trail.js", "board.js", "page.js"),
)
"""Parts of the script, in their order."""
_LINKS = "<!-- files -->"
"""Place of style and scripts in the page."""
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data: blob:"
"""The rights of the page: no request at all, but for those that are added to it."""
SERVED_POLICY = f"{POLICY}; frame-ancestors 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"


@functools.cache
def page_file(name: str) -> str:
    """Return the text of a file of the page."""
    return files(__package__).joinpath("page", name).read_text(encoding="utf-8")


@functools.cache
def page_version() -> str:
    """Return twelve hexadecimal digits that change with the page, which every vote names."""
    whole = "\0".join([page_file("index.html"), page_file(STYLE), script()])
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def script() -> str:
    """Return the whole script of the page."""
    return "\n".join(page_file(name) for name in _SCRIPTS)


def served_files() -> dict[str, tuple[str, str]]:
    """Return text and media type of style and script, by name."""
    return {STYLE: (page_file(STYLE), "text/css"), SCRIPT: (script(), "text/javascript")}


def served_page(query: str) -> str:
    """Return the page that loads style and script from its server, from addresses that end in `?query`."""
    links = f'<link rel="stylesheet" href="page/{STYLE}?{query}">\n<script defer src="page/{SCRIPT}?{query}"></script>'
    return page_file("index.html").replace(_LINKS, links)


def single_page(data: Any) -> str:
    """Return the page with style, script and `data`, which is JSON, in one file that sends no request."""
    style, code = page_file(STYLE), script()
    policy = f"{POLICY}; script-src '{_sha256(code)}'; style-src '{_sha256(style)}'"
    # JSON of a text may end the element: "<" is written so that HTML does not see it.
    content = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    parts = [
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        f"<style>{style}</style>",
        f'<script type="application/json" id="data">{content}</script>',
    ]
    page = page_file("index.html").replace(_LINKS, "\n".join(parts))
    return page.replace("</body>", f"<script>{code}</script>\n</body>")


def _sha256(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
