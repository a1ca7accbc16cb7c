"""Split a condition on the columns of a table into words."""

import re
from dataclasses import dataclass
from typing import Literal

from infra.errors import LensscanError

MAX_CHARACTERS = 4000
KEYWORDS = frozenset({"and", "or", "not", "between", "in", "is", "null", "true", "false"})
_WORD = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r'|"(?P<quoted>[^"]+)"'
    r"|'(?P<text>(?:[^']|'')*)'"
    r"|(?P<symbol><=|>=|<>|!=|==|[-+*/&=<>(),])",
    re.ASCII,
)
_SAME = {"==": "=", "!=": "<>"}

Kind = Literal["number", "name", "keyword", "text", "symbol", "end"]


class ConditionError(LensscanError, ValueError):
    """The condition is not valid; the message is one line."""

    def __init__(self, what: str) -> None:
        super().__init__(f"where: {what}")


@dataclass(frozen=True)
class Word:
    """A word of a condition; names and keywords are in lower case."""

    kind: Kind
    value: str
    is_quoted: bool = False

    def __str__(self) -> str:
        if self.kind == "text":
            return "'" + self.value.replace("'", "''") + "'"
        return f'"{self.value}"' if self.is_quoted else self.value


def words_of(text: str) -> list[Word]:
    """Return the words of a condition, then one of kind `end`.

    Raises:
        ConditionError: a character belongs to no word, or the text is too long.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConditionError(f"must have at most {MAX_CHARACTERS} characters, got {len(text)}")
    words, at = [], 0
    while rest := text[at:].lstrip():
        at = len(text) - len(rest)
        match = _WORD.match(text, at)
        if match is None:
            raise ConditionError(f"cannot be read at {rest[:20]!r}")
        words.append(_word(match))
        at = match.end()
    return [*words, Word("end", "")]


def spelled(words: list[Word]) -> str:
    """Return the words as one text; two texts of equal words are spelled alike."""
    text = ""
    for before, word in zip([Word("end", ""), *words], words, strict=False):
        is_call = before.kind == "name" and word.value == "("
        is_tight = is_call or not text or before.value == "(" or word.value in {")", ","} or word.kind == "end"
        text += str(word) if is_tight else f" {word}"
    return text


def _word(match: re.Match[str]) -> Word:
    kind, value = match.lastgroup, match[match.lastgroup or 0]
    if kind == "name":
        value = value.lower()
        return Word("keyword" if value in KEYWORDS else "name", value)
    if kind == "quoted":
        return Word("name", value.lower(), is_quoted=True)
    if kind == "text":
        return Word("text", value.replace("''", "'"))
    return Word("number", value) if kind == "number" else Word("symbol", _SAME.get(value, value))
