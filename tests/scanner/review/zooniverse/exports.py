"""Pixels of candidates, and exports of classifications as Zooniverse writes them."""

import csv
import io
import json

import numpy as np

from scanner.explain.map_grid import GUIDED_CELLS, OCCLUSION_CELLS
from scanner.review.candidate import CandidatePixels
from scanner.review.zooniverse.manifest import MANIFEST

COLUMNS = (
    *("classification_id", "user_name", "user_id", "user_ip", "workflow_id", "workflow_name", "workflow_version"),
    *("created_at", "gold_standard", "expert", "metadata", "annotations", "subject_data", "subject_ids"),
)


def pixels(rng, *, has_bands=True):
    """Return the noise of a sky with a bright galaxy in the middle."""
    axis = np.arange(80) - 39.5
    galaxy = 300 * np.exp(-np.hypot(axis[:, None], axis[None]) / 5)
    in_sky = (rng.normal(size=(4, 80, 80)) + galaxy).astype(np.float32)
    rgb = rng.integers(0, 256, (80, 80, 3)).astype(np.uint8)
    maps = np.zeros((GUIDED_CELLS,) * 2, np.float32), np.zeros((OCCLUSION_CELLS,) * 2, np.float32)
    return CandidatePixels(in_sky if has_bands else None, rgb, *maps)


def manifest_rows(folder):
    with (folder / MANIFEST).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def classification(number, subject, answer="A: sure lens", **changes):
    """Return a row of an export: what a volunteer says of a subject, which is a row of a manifest."""
    answers = {"T0": answer} | changes.pop("answers", {})
    metadata = {"started_at": "2026-11-24T03:00:00.250Z", "finished_at": "2026-11-24T03:00:07.750Z", "live_project": True}
    return {
        "classification_id": str(number),
        "user_name": "ann",
        "user_id": "17",
        "user_ip": "abc",
        "workflow_id": "99",
        "workflow_name": "Lenses",
        "workflow_version": "3.12",
        "created_at": "2026-11-24 03:00:08 UTC",
        "gold_standard": "",
        "expert": "",
        "metadata": json.dumps(metadata),
        "annotations": json.dumps([{"task": task, "task_label": "?", "value": value} for task, value in answers.items()]),
        "subject_data": json.dumps({"12345678": {"retired": None, **subject}}),
        "subject_ids": "12345678",
    } | changes


def export_of(*rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
