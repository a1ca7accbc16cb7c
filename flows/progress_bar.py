"""A progress bar with a line that names what is worked on."""

import time
from collections.abc import Callable, Iterable

from rich.console import RenderableType
from rich.progress import Progress as ProgressBar
from rich.text import Text

from flows.terminal import printable

MOST_NAMED = 4
"""Largest number of names that are shown."""


class NamingBar(ProgressBar):
    """A bar; below it, the names of what is worked on, if there are any."""

    at_work: tuple[str, ...] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the bar and the line."""
        yield from super().get_renderables()
        if self.at_work:
            rest = len(self.at_work) - MOST_NAMED
            more = f" and {rest} more" if rest > 0 else ""
            yield Text(printable(f"at work: {', '.join(self.at_work[:MOST_NAMED])}{more}"), no_wrap=True, overflow="ellipsis")


def bar_texts(clock: Callable[[], float] = time.monotonic) -> Callable[[int, int], str]:
    """Return a function of done and total to the text beside a bar; the rate counts from the first progress on."""
    first: list[tuple[float, int]] = []

    def text(done: int, total: int) -> str:
        now = clock()
        if not first or first[0][1] == done:
            # Work that is not done yet, such as loading networks, does not count.
            first[:] = [(now, done)]
        began, before = first[0]
        rate = f"  {(done - before) / (now - began):,.1f}/s" if now > began and done > before else ""
        return f"{done:,}/{total:,}{rate}"

    return text
