"""Patterns of file names: templates such as `{tile}_{band}.fits`, or regular expressions with the same groups."""

import re
from functools import lru_cache

_FORMS = {
    # The shortest name that fits: what follows may contain the same characters.
    "tile": "[A-Za-z0-9][A-Za-z0-9.,+_-]*?",
    "stamp": "[0-9][0-9TZ:.-]*",
    "version": "[0-9]+(?:[._][0-9]+)*",
}
_FIELDS = ("tile", "band", "stamp", "version")
_PART = re.compile(r"\{(?P<field>[^{}]*)\}|(?P<any>\*+)|(?P<text>[^{}*]+|.)", re.DOTALL)
_PACKED = r"(?:\.gz|\.fz)?"


class PatternError(ValueError):
    """The text is no pattern of file names."""


@lru_cache(maxsize=64)
def name_pattern(text: str, bands: tuple[str, ...], needed: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern that whole names of files must match; it is kept, because a survey has a million files.

    Args:
        text: A regular expression if it has a named group, `(?P<tile>...)`; else a template, in which `{tile}`, `{band}`,
            `{stamp}` and `{version}` stand for these parts of a name and `*` for any characters. A name may end in .gz or .fz
            where the template ends in .fits.
        bands: Bands that `{band}` stands for.
        needed: Fields that the pattern must have.

    Raises:
        PatternError: a field is missing or unknown, or the regular expression is none.
    """
    is_regex = "(?P<" in text
    try:
        pattern = re.compile(text if is_regex else _of_template(text, bands))
    except re.error as error:
        raise PatternError(f"no regular expression: {error}") from error
    if missing := [field for field in needed if field not in pattern.groupindex]:
        how = f"(?P<{missing[0]}>...)" if is_regex else f"{{{missing[0]}}}"
        raise PatternError(f"must have {how}, got {text!r}")
    return pattern


def version_order(match: re.Match[str]) -> tuple[str, str]:
    """Return the order of a file among versions of the same: by stamp as text, then by version with numbers as numbers."""
    groups = match.groupdict()
    version = re.sub(r"[0-9]+", lambda number: number[0].zfill(12), groups.get("version") or "")
    return groups.get("stamp") or "", version


def _of_template(text: str, bands: tuple[str, ...]) -> str:
    parts: list[str] = []
    seen: set[str] = set()
    for part in _PART.finditer(text):
        field = part["field"]
        if field is None:
            parts.append("[^/]*?" if part["any"] else re.escape(part["text"]))
        elif field not in _FIELDS:
            raise PatternError(f"unknown field {{{field}}}; fields are {', '.join(f'{{{name}}}' for name in _FIELDS)}")
        elif field in seen:
            parts.append(f"(?P={field})")
        else:
            seen.add(field)
            # The longest band first: one may begin as another does.
            names = "|".join(map(re.escape, sorted(set(bands), key=lambda band: (-len(band), band))))
            parts.append(f"(?P<{field}>{names if field == 'band' else _FORMS[field]})")
    return "".join(parts) + (_PACKED if text.endswith(".fits") else "")
