"""`make demo-s3`: the demo with tiles and catalogue in an S3 store, which runs on this machine meanwhile."""

import argparse
import sys
from pathlib import Path

from flows.demo import TILES, scanned
from flows.terminal import print_lines, print_table, print_text, terminal_progress
from infra.deploy.local_s3 import clients_of, local_s3
from infra.errors import LensscanError
from infra.settings import Settings
from scanner.catalogue.query import query
from scanner.catalogue.wanted import Wanted
from simulation.run import simulate_night

BUCKET = "survey"
SHOWN = ("candidate_id", "p_lens", "p_compound", "subclass")


def run_demo_s3(folder: Path) -> None:
    """Start a store with its files in `folder`, simulate two tiles into it, scan them there, and print the best candidates.

    Raises:
        LocalServiceError: the store is not installed, or does not start.
    """
    tiles, catalogue = f"s3://{BUCKET}/tiles", f"s3://{BUCKET}/catalogue"
    with local_s3(folder.absolute(), BUCKET) as variables, clients_of(variables):
        print_text(f"S3 server at {variables['AWS_ENDPOINT_URL']}, its files in {folder}")
        settings = Settings.read()
        with terminal_progress("simulating") as report:
            uris = simulate_night(TILES, tiles, settings.workers, report, settings.ray_address)
        print_text(f"{len(TILES)} tiles in {len(uris)} objects below {tiles}")
        summary = scanned(tiles, catalogue, as_flow=False, quiet=False)
        rows = query(catalogue, Wanted(limit=10)).to_pylist()
        print_table(f"Best {len(rows)} of {summary.n_candidates} candidates in {summary.n_rows} galaxies", SHOWN, rows)
        print_lines({"candidate catalogue": summary.candidates_uri, "scanned in": f"{summary.seconds:.0f} s"})
    print_text("S3 server ended; its files stay, and the next demo finds its tiles and catalogue there")


def main() -> int:
    """Run the demo in the folder of `--out`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo-output/store"), help="folder of the store's files")
    try:
        run_demo_s3(parser.parse_args().out)
    except LensscanError as error:
        sys.stderr.write(f"lensscan: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
