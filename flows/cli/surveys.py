"""The `surveys` command."""

import sys
from typing import Any

from flows.cli.app import app


@app.command
def surveys(name: str | None = None, *, json: bool = False) -> None:
    """List the surveys whose tiles the program knows, or print the description of one, to be copied and changed for another.

    For example: `lensscan surveys`
    or: `lensscan surveys hsc-pdr3`

    Args:
        name: A survey of the list, or a TOML file, which is checked.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, print_table, print_text
    from scanner.sources.survey import find_survey, shipped_surveys, shipped_text

    if name in (None, "list"):
        found = [find_survey(known) for known in shipped_surveys()]
        rows: list[dict[str, Any]] = [
            {
                "name": survey.name,
                "bands": survey.bands if json else survey.sources_of_bands(),
                "mosaics": survey.mosaics.file,
                "catalogues": survey.catalogue.file if survey.catalogue else None,
                "reference": survey.reference,
            }
            for survey in found
        ]
        print_json(rows) if json else print_table("surveys", ["name", "bands"], rows)
        return
    survey = find_survey(name)
    if json:
        print_json(survey.model_dump(mode="json", exclude_none=True))
    elif name in shipped_surveys():
        sys.stdout.write(shipped_text(name))
    else:
        print_text(f"{name}: describes survey {survey.name}; bands {survey.sources_of_bands()}")
