"""The `vet` command."""

import sys
from contextlib import nullcontext
from json import dumps
from typing import Annotated, Any

from cyclopts import Parameter, validators

from flows.cli.app import NotNegative, Positive, app
from flows.cli.arguments import whole_number
from flows.cli.candidates import ALL_CANDIDATES, CandidateOptions
from infra.private_apis import arrow_without_pandas

Port = Annotated[int, Parameter(converter=whole_number, validator=validators.Number(gte=0, lte=65535))]
MOST_BY_DEFAULT = 500
"""Number of candidates that are graded unless the grader says otherwise."""


@app.command
def vet(
    catalogue: str,
    *,
    grader: str | None = None,
    chosen: CandidateOptions = ALL_CANDIDATES,
    limit: Annotated[Positive | None, Parameter(name=("--limit", "--top"))] = None,
    votes: str | None = None,
    gold: NotNegative | None = None,
    training: bool = True,
    blind: bool = True,
    seed: NotNegative = 0,
    port: Port = 0,
    open: bool | None = None,  # noqa: A002 - the name of the option
    static: str | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Grade candidates in the browser: A, B, C or X, with keys, blind, and with test subjects mixed in.

    The page shows VIS and a colour picture of each candidate that has pixels, in an order of your own. Score, name, position,
    maps and the grades of others stay hidden until you have graded. One candidate in twenty comes twice. Simulated lenses in
    real galaxies, and galaxies that are no lenses, are mixed in, so that it can be measured how well graders do; a few more
    come first, with their answers, as a training. Each vote is stored at once in the catalogue; run the same command again to
    go on. Only browsers on this machine can open the page. Ctrl-C stops it.

    For example: `lensscan vet catalogue/ --grader anna`
    or: `lensscan vet catalogue/ --min-p-lens 0.1 --top 200 --static anna.html --grader anna`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        grader: Your name: letters, digits, `.`, `_` and `-`; by default the name of your account.
        chosen: The candidates to grade.
        limit: Largest number of candidates, the best; 500 by default.
        votes: Folder or `s3://` prefix of the votes, if not that of the catalogue.
        gold: Number of subjects whose answer is known, half of them lenses; 0 for none. By default 10, if their images can be
            read in a few seconds: they are cut out of the scanned tiles, once for all graders. None with `--no-blind`.
        training: Begin with six subjects whose answers are told after the grade; none with `--no-blind`.
        blind: Hide score, name, position, maps and the grades of others until you have graded.
        seed: Seed of the order, which differs between graders for the same seed.
        port: Port of the page; by default one that is the same whenever you grade this catalogue.
        open: Open the page in a browser; by default if there is a screen.
        static: Write the page with its images to this HTML file instead, at most 500 candidates: it needs no server, and its
            votes are downloaded as CSV for `lensscan votes merge`.
        overwrite: Replace the file of `--static` if it exists.
        json: Print JSON instead of text: one line before the page can be opened.
    """
    from flows.commands.page_path import page_path
    from flows.commands.vet import Wishes, desk_of, listener_of, serve_page, write_page
    from flows.terminal import print_json, print_lines, terminal_progress

    arrow_without_pandas()
    page = None if static is None else page_path(static, "--static", overwrite=overwrite)
    wishes = Wishes(catalogue, grader, votes, gold, training, blind, seed)

    def tell(summary: dict[str, Any]) -> None:
        if json:
            sys.stdout.write(f"{dumps(summary)}\n")
        else:
            print_lines(summary | {"stop": "Ctrl-C; every vote is stored when it is given"})
        sys.stdout.flush()

    # A port that is taken is told at once: to make the test subjects may take minutes.
    with nullcontext() if page else listener_of(wishes, port) as listener:
        with terminal_progress("making test subjects", quiet=json) as report:
            desk = desk_of(wishes, chosen.wanted(limit or MOST_BY_DEFAULT, catalogue), report)
        if listener:
            serve_page(desk, listener, open, tell)
        elif page:
            summary = write_page(desk, page)
            print_json(summary) if json else print_lines(summary)
