"""The facts of a subject that the page shows after the vote: score, place, maps and the grades of others, or the answer."""

import math
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from scanner.explain.map_grid import LEAST_CHANGE
from scanner.review.candidate import CandidatePixels
from scanner.review.links import is_of_euclid, links_to
from scanner.review.votes.vote import Vote
from scanner.vocabulary.probability_text import probability_text

_SUBCLASSES = {"single": "single", "compound_arc": "compound arc", "double_ring": "double ring", "nonlens": "no lens"}


def facts_of_candidate(row: Mapping[str, Any], pixels: CandidatePixels | None, others: Iterable[Vote]) -> dict[str, Any]:
    """Return what is known of a candidate, as JSON: texts with their labels, maps, and grades of other graders."""
    lines = [
        ("name", str(row.get("candidate_id") or row["object_id"])),
        ("object", str(row["object_id"])),
        ("p_lens", _probability(row.get("p_lens"))),
        ("calibration", str(row.get("calibration") or "")),
        ("p_compound", _probability(row.get("p_compound"))),
        ("kind, if a lens", _SUBCLASSES.get(str(row.get("subclass")), str(row.get("subclass") or ""))),
        ("disagreement", _number(row.get("disagreement"), 3)),
        ("anomaly", _number(row.get("anomaly"), 2)),
        ("expected purity", _probability(row.get("expected_purity"))),
        ("position", _position(row)),
        ("VIS magnitude, 2\u2033", _number(row.get("mag_vis_2arcsec"), 2)),
        ("arc S/N in VIS", _number(row.get("arc_snr_vis"), 1)),
        ("tile", str(row.get("tile") or "")),
        ("night", str(row.get("night") or "")),
        ("ensemble", str(row.get("ensemble") or "")),
    ]
    return {
        "lines": [[label, text] for label, text in lines if text],
        "link": _link(row),
        "maps": None if pixels is None else _maps(pixels),
        "others": [_grade(vote) for vote in others],
    }


def facts_of_known(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer of a subject whose answer is known, as JSON."""
    return {"answer": answer, "lines": [], "link": None, "maps": None, "others": []}


def _maps(pixels: CandidatePixels) -> dict[str, Any]:
    """Return both maps as bytes in base64: guided to 255, occlusion from -127 to 127, and the change that 127 stands for."""
    guided = np.round(pixels.guided * 255).astype(np.uint8)
    scale = max(float(np.abs(pixels.occlusion).max(initial=0)), LEAST_CHANGE)
    occlusion = np.round(pixels.occlusion / scale * 127).astype(np.int8)
    return {
        "guided": b64encode(guided.tobytes()).decode(),
        "occlusion": b64encode(occlusion.tobytes()).decode(),
        "occlusion_scale": scale,
    }


def _grade(vote: Vote) -> dict[str, Any]:
    flags = [name for name, is_set in (("compound", vote.is_compound), ("interesting", vote.is_interesting)) if is_set]
    return {
        "grader": vote.grader,
        "grade": vote.grade,
        "words": [*filter(None, [vote.reason]), *flags],
        "comment": vote.comment,
    }


def _is_finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _probability(value: Any) -> str:
    return probability_text(value) if _is_finite(value) else ""


def _number(value: Any, decimals: int) -> str:
    return f"{value:.{decimals}f}" if _is_finite(value) else ""


def _position(row: Mapping[str, Any]) -> str:
    ra, dec = row.get("ra"), row.get("dec")
    return f"{ra:.6f}\u00b0 {dec:+.6f}\u00b0" if _is_finite(ra) and _is_finite(dec) else ""


def _link(row: Mapping[str, Any]) -> str | None:
    """Return the address of the place in Aladin Lite, which opens only if the grader follows the link."""
    ra, dec = row.get("ra"), row.get("dec")
    is_euclid = is_of_euclid(row.get("candidate_id"))
    return links_to(ra, dec, is_euclid=is_euclid)[0].url if _is_finite(ra) and _is_finite(dec) else None
