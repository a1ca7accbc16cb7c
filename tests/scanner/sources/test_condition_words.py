"""A condition is split into words."""

import pytest

from scanner.sources.condition_words import spelled, words_of


@pytest.mark.parametrize(
    ("text", "kinds", "values"),
    [
        ("A>=1.5e-3", "name symbol number end", ["a", ">=", "1.5e-3", ""]),
        ("x!=.5", "name symbol number end", ["x", "<>", ".5", ""]),
        ("'it''s' IN(\"Odd Name\")", "text keyword symbol name symbol end", ["it's", "in", "(", "odd name", ")", ""]),
        ("  ", "end", [""]),
    ],
)
def test_words_have_kinds_and_values(text, kinds, values):
    words = words_of(text)
    assert [word.kind for word in words] == kinds.split()
    assert [word.value for word in words] == values


@pytest.mark.parametrize("text", ["abs(a) < 2", "not (a = 'it''s' or \"odd name\" in (1, 2))", "a is not null"])
def test_a_text_with_single_spaces_is_spelled_as_it_is(text):
    assert spelled(words_of(text)) == text
