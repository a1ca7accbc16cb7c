"""Fill the templates of pages: one HTML file that needs no server, no network and no other file.

Jinja2 escapes every value. The Content-Security-Policy allows the page's own script and style by their digests and pictures
in `data:` URIs, so that a browser runs and fetches nothing else, whatever a value holds.
"""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from infra.provenance import code_version
from scanner.explain.map_grid import SHOWN_ARCSEC
from scanner.review.stretch import BRIGHT, FAINT
from scanner.vocabulary.prior import grouped

_HERE = Path(__file__).parent
SHAPES = {
    "single": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
    "compound_arc": "M0-6.5L6 4.5H-6z",
    "double_ring": "M0-6.5L6.5 0L0 6.5L-6.5 0z",
    "other": "M-4.5-4.5h9v9h-9z",
}
"""Mark of each subclass on a map: colours alone would not tell all people which is which."""


def page(template: str, **values: Any) -> str:
    """Return a page.

    Args:
        template: Name of a file in `templates`.
        values: What it shows.
    """
    style, script = (_asset(name) for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_source(style)}'; script-src '{_source(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    own = {"style": style, "script": script, "policy": policy, "code_version": code_version()}
    return _environment().get_template(template).render(**own, **values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"grouped": grouped, "shape": lambda kind: kind if kind in SHAPES else "other"}
    environment.globals |= {"shapes": SHAPES, "stretches": (FAINT, BRIGHT), "shown_arcsec": SHOWN_ARCSEC}
    return environment


@cache
def _asset(name: str) -> str:
    return (_HERE / "assets" / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """Return the source expression that allows an element with this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
