"""Names of candidates by their positions."""


def candidate_name(ra_deg: float, dec_deg: float, acronym: str) -> str:
    """Return the name for a position: `EUCL J174517.55+655612.5`, digits truncated and not rounded (IAU recommendation).

    Args:
        ra_deg: Right ascension.
        dec_deg: Declination.
        acronym: First word of the name, which stands for the survey.
    """
    # The small term undoes binary rounding of decimal positions; it is below a micro-arcsecond.
    ra_centiseconds = int((ra_deg % 360) / 15 * 360_000 + 1e-6) % (24 * 360_000)
    dec_deciseconds = int(abs(dec_deg) * 36_000 + 1e-6)
    seconds, centi = divmod(ra_centiseconds, 100)
    arcseconds, deci = divmod(dec_deciseconds, 10)
    sign = "-" if dec_deg < 0 else "+"
    return f"{acronym} J{_sexagesimal(seconds)}.{centi:02d}{sign}{_sexagesimal(arcseconds)}.{deci:d}"


def _sexagesimal(seconds: int) -> str:
    return f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"
