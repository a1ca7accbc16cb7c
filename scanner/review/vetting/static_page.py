"""The page in one HTML file, with the pixels of its subjects, for a grader without a server."""

import json
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from infra.json_values import finite
from infra.provenance import digest
from scanner.review.vetting.errors import VettingError
from scanner.review.vetting.images import SubjectImage
from scanner.review.vetting.material import Material
from scanner.review.vetting.order import Item
from scanner.review.vetting.page_files import single_page
from scanner.review.vetting.session import Terms, page_state
from scanner.review.votes.vote import Vote

MOST_CANDIDATES = 500
"""Largest number of candidates in one file; each takes about 40 kB."""
_HEADER_BYTES = 8


def static_page(terms: Terms, material: Material, n_candidates: int, others: Iterable[Vote] = ()) -> str:
    """Return the page with everything that it needs.

    Facts that the grader must not see early are hidden from a glance, not encrypted: they can be found in the source.

    Args:
        terms: Name and conditions of the grader.
        material: The subjects.
        n_candidates: Number of candidates among them.
        others: Grades of other graders.

    Raises:
        VettingError: there are too many candidates.
        LensscanError: the catalogue cannot be read.
    """
    if n_candidates > MOST_CANDIDATES:
        raise VettingError(
            f"a file holds at most {MOST_CANDIDATES} candidates, got {n_candidates}: choose fewer with --top, or make several"
        )
    subjects = material.subjects
    items = terms.order.items(subjects)
    images = {subject.name: image for subject, image in zip(subjects, material.images(subjects), strict=True)}
    place = {name: i for i, name in enumerate(dict.fromkeys(item.subject.name for item in items))}
    grades: dict[str, list[Vote]] = {}
    for vote in others:
        grades.setdefault(vote.subject, []).append(vote)
    hidden = [
        {"image": place[item.subject.name], "hidden": _hidden(item, items, material, grades.get(item.subject.name, []))}
        for item in items
    ]
    names = digest([terms.grader, terms.title, [item.key for item in items]])[:16]
    state = page_state(terms, items, (), names)
    return single_page({"state": state, "items": hidden, "images": [_packed(images[name]) for name in place]})


def _hidden(item: Item, items: Sequence[Item], material: Material, others: Sequence[Vote]) -> str:
    """Return what belongs to a view, so that it cannot be read at a glance."""
    subject = item.subject
    vote: Mapping[str, Any] = {
        "subject": subject.name,
        # JavaScript's numbers have 53 bits.
        "object_id": None if subject.object_id is None else str(subject.object_id),
        "role": subject.role,
        "repeat": item.repeat,
    }
    same = [other.key for other in items if other.subject == subject and other.key != item.key]
    keys = {other.subject.name: other.key for other in items if not other.repeat}
    # The page shows a blind grader those alone that are graded.
    alike = [keys[name] for name in material.alike(subject) if name in keys]
    views = {"same": same, "alike": alike, "n_alike": len(alike)}
    told = {"subject": vote, "facts": {**finite(material.facts(subject, others)), **views}}
    mask = item.key.encode()
    data = json.dumps(told, allow_nan=False).encode()
    return b64encode(bytes(byte ^ mask[i % len(mask)] ^ (i & 255) for i, byte in enumerate(data))).decode()


def _packed(image: SubjectImage | None) -> str:
    """Return a compressed record; low bytes come first, then high bytes, which saves a fifth."""
    record = image.record() if image is not None else bytes(_HEADER_BYTES)
    head, body = record[:_HEADER_BYTES], record[_HEADER_BYTES:]
    if head[0] == 1:
        body = body[0::2] + body[1::2]
    return b64encode(zlib.compress(head + body, 6)).decode()
