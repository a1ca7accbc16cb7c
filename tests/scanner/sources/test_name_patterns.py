"""Patterns of file names, beside names written by hand."""

import re

import pytest

from scanner.sources.name_patterns import PatternError, name_pattern, version_order

NEEDED = ("tile", "band")


@pytest.mark.parametrize(
    ("text", "name", "parts"),
    [
        ("{tile}_{band}.fits", "T1_a_r.fits", ("T1_a", "r")),
        ("{tile}_{band}.fits", "T1_a_r2.fits.gz", ("T1_a", "r2")),
        ("{tile}_{band}.fits", "T1_g.fits", None),
        ("{tile}_{band}.fits", "T1_r.fits.bz2", None),
        ("{tile}_{band}.fits", "T1_rafits", None),
        ("{tile}_{band}.fit", "T1_r.fit.gz", None),
        ("calexp-{band}-{tile}.fits", "calexp-r-9813-4,4.fits.fz", ("9813-4,4", "r")),
        ("{band}_{tile}_*.fits", "r_T_x_y.fits", ("T", "r")),
        ("{tile}_{band}_of_{tile}.fits", "T1_r_of_T1.fits", ("T1", "r")),
        ("{tile}_{band}_of_{tile}.fits", "T1_r_of_T2.fits", None),
        (r"x(?P<tile>\d+)_(?P<band>[a-z]\d?)", "x12_u", ("12", "u")),
    ],
)
def test_a_whole_name_must_match(text, name, parts):
    match = name_pattern(text, ("r", "r2"), NEEDED).fullmatch(name)
    assert (match and (match["tile"], match["band"])) == parts


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a_{band}.fits", "must have {tile}, got 'a_{band}.fits'"),
        (r"(?P<tile>\d+).fits", "must have (?P<band>...)"),
        (r"(?P<tile>\d+_(?P<band>r)", "no regular expression: missing ), unterminated subpattern at position 0"),
        ("{tile}_{filter}.fits", "unknown field {filter}; fields are {tile}, {band}, {stamp}, {version}"),
    ],
)
def test_what_is_no_pattern_is_refused(text, says):
    with pytest.raises(PatternError, match=re.escape(says)):
        name_pattern(text, ("r",), NEEDED)


def test_the_newest_stamp_wins_then_the_largest_version():
    pattern = name_pattern("{tile}_{band}_{stamp}_{version}.fits", ("r",), NEEDED)
    names = ["T_r_20260101T000000.3_9.0.fits", "T_r_20260101T000000.3_10.0.fits", "T_r_20260102T000000_1.0.fits"]
    order = [version_order(pattern.fullmatch(name)) for name in names]
    assert order == sorted(order)
    without = name_pattern("{tile}_{band}.fits", ("r",), NEEDED).fullmatch("T_r.fits")
    assert version_order(without) == ("", "")
