"""Draw what a terminal shows of demo, query, score and explain, the figure of explain, the grading page, and two sheets.

    python -m tests.figures.screens --out docs/figures        (make screens)

Every picture is the output of the commands of this tree; run it again when one of them changes. It takes some minutes.
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from astropy.io import fits
from rich.console import Console
from rich.text import Text

from scanner.sources.shards import decode_shard, encode_shard
from simulation.products.contact_sheet import contact_sheet_png
from simulation.products.dataset import dataset_spec, simulate_shard
from tests.figures.draw import BANDS, as_jpeg
from tests.figures.vetting import vet_pictures

WIDTH = 100
ROOT = Path(__file__).parents[2]
CUTOUTS = dataset_spec(8, 20261128, kinds="double_ring=2,compound_arc=1,single=2,twin=2,spiral=1", geometry="mer10")
KINDS = "nonlens=2,twin=1,single=3,compound_arc=2,double_ring=2"
SHEETS = {
    "sheet_mer10": dataset_spec(40, 5, kinds=KINDS, geometry="mer10"),
    "sheet_challenge": dataset_spec(40, 6, kinds=KINDS, geometry="challenge"),
}
COMMANDS = {
    "demo": "demo --out demo-output",
    "query": "query demo-output/catalogue --limit 10",
    "score": "score cutouts.csv --out scores.parquet",
    "explain": "explain cutouts.csv --objects 0,3,5 --out why.png",
}
MOST_BYTES, QUALITY = 300_000, 78
FONTS = re.compile(r"\s*@font-face \{.*?\}", flags=re.DOTALL)


def lensscan(work, *arguments):
    """Run a command in the folder `work`; return what it prints, with the codes of colours and without that folder."""
    code = "from flows.cli.main import main; main()"
    env = {**os.environ, "COLUMNS": str(WIDTH), "FORCE_COLOR": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=work, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.replace(f"{work}/", "")


def screen(command, output):
    """Return an SVG of a terminal that shows a command and its output, in any monospaced font that there is."""
    console = Console(file=io.StringIO(), record=True, width=WIDTH, force_terminal=True)
    console.print(Text(f"$ lensscan {command}", style="bold"))
    console.print(Text.from_ansi(output.rstrip()))
    # Rich's SVG loads its font from the network.
    return FONTS.sub("", console.export_svg(title="lensscan", unique_id=command.split()[0]))


def simulated(spec):
    return decode_shard(encode_shard(simulate_shard(spec, 0)))


def write_cutouts(work):
    """Write simulated cutouts as FITS files, and the manifest that lists them."""
    shard = simulated(CUTOUTS)
    lines = [f"object_id,{','.join(BANDS)}"]
    for i, object_id in enumerate(shard.object_ids):
        hdus = [fits.ImageHDU(shard.stamps[band][i], name=f"{prefix}_FLUX") for band, prefix in BANDS.items()]
        for hdu in hdus:
            hdu.header["PIXSCALE"] = 0.1
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(work / f"{object_id}.fits")
        lines.append(f"{object_id},{','.join(f'{object_id}.fits#{prefix}_FLUX' for prefix in BANDS.values())}")
    (work / "cutouts.csv").write_text("\n".join(lines) + "\n")


def pictures(work):
    """Yield the name and the content of each picture; commands run in the folder `work`."""
    for name, spec in SHEETS.items():
        yield f"{name}.jpg", as_jpeg(contact_sheet_png(simulated(spec)), QUALITY)
    write_cutouts(work)
    for name, command in COMMANDS.items():
        yield f"{name}.svg", screen(command, lensscan(work, *command.split())).encode()
    yield "explained.jpg", as_jpeg((work / "why.png").read_bytes(), QUALITY)
    yield from vet_pictures(str(work / "demo-output" / "catalogue"))


def write(pictures, out):
    """Write pictures, given by name and content, into a folder; one that is too large for the repository is an error."""
    out.mkdir(parents=True, exist_ok=True)
    for name, content in pictures:
        if len(content) > MOST_BYTES:
            raise SystemExit(f"{name} must have at most {MOST_BYTES} bytes, got {len(content)}")
        (out / name).write_bytes(content)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        write(pictures(Path(work).resolve()), arguments.out)


if __name__ == "__main__":
    main()
