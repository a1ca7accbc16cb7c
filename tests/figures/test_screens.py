"""Screenshots hold the text of a terminal and load nothing from the network."""

import re

from tests.figures.screens import screen


def test_a_screen_shows_the_command_and_its_output():
    svg = screen("query c", "\x1b[3mbest\x1b[0m\n\u2502 EUCL J1 \u2502 0.9991\n")
    text = re.sub(r"<[^>]*>", " ", svg).replace("&#160;", " ")
    for words in ("$ lensscan query c", "best", "EUCL J1", "0.9991"):
        assert words in text
    assert set(re.findall(r"https?://[^\"' )]+", svg)) <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}
    assert "@font-face" not in svg
