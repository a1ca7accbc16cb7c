"""Codes of rows that cannot be scored."""

from scanner.vocabulary.rejections import ADVICE, MAX_DETAIL, RejectCode, Rejection


def test_every_code_comes_with_advice():
    assert set(ADVICE) == set(RejectCode)
    assert all(text.endswith(".") for text in ADVICE.values())


def test_a_detail_is_one_line_of_bounded_length():
    rejection = Rejection(RejectCode.BLANK, "VIS:\n all " + "x" * 500)
    assert rejection.detail.startswith("VIS: all x")
    assert len(rejection.detail) == MAX_DETAIL
    assert rejection.status == "rejected:blank"
