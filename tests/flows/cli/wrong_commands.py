"""Wrong commands as users type them, and a text that the one line about each must hold."""

import shlex
from pathlib import Path

import numpy as np
from astropy.io import fits

from infra.store.storage import create_if_absent
from scanner.sources.shards import encode_shard
from simulation.products.dataset import DatasetSpec, simulate_shard

TABLE = Path(__file__).with_suffix(".txt")
"""File with a command a line, and after the bar a text that the message must hold."""

SETTINGS = (
    ("LENSSCAN_WORKERS=0", "models list", "workers"),
    ("LENSSCAN_WORKERS=some", "scan shards --out cat", "workers"),
    ("LENSSCAN_ENSEMBLE=nosuch", "scan shards --out cat", "nosuch"),
    ("LENSSCAN_ENGINE=tpu", "scan shards --out cat", "engine"),
    ("LENSSCAN_RAY_ADDRESS=nowhere", "scan shards --out cat", "nowhere"),
)
"""A variable, a command, and a text that the message must hold."""


def wrong_commands():
    """Yield (variables, arguments, text of the message) of every wrong command."""
    for line in TABLE.read_text().splitlines():
        command, _, says = line.rpartition("|")
        yield {}, tuple(shlex.split(command)), says.strip()
    for variable, command, says in SETTINGS:
        name, _, value = variable.partition("=")
        yield {name: value}, tuple(command.split()), says


def survey_text(bands='VIS = "r"', file="{tile}_{band}.fits"):
    """Return a description of a survey."""
    return f'name = "x"\n[bands]\n{bands}\n[mosaics]\nfile = "{file}"\n'


def make_files(folder):
    """Make the files that the commands name in a folder."""
    (folder / "empty").mkdir()
    texts = {
        "good.csv": "object_id,VIS,Y,J,H\n1,a.fits,a.fits,a.fits,a.fits\n",
        "bad.csv": "number,VIS\n1,a.fits\n",
        "none.csv": "",
        "empty.csv": "object_id,VIS,Y,J,H\n",
        "twice.csv": "object_id,VIS,VIS\n1,a.fits,b.fits\n",
        "noids.csv": "object_id,VIS\n,a.fits\n",
        "bands.csv": "object_id,K\n1,a.fits\n",
        "text.fits": "this is no image\n",
        "empty.moc": "3/\n",
        "north.moc": "0/0-3\n",
        "beyond.json": '{"3": [768]}',
        "wrong.toml": 'name = "x"\nbands\n',
        "short.toml": 'name = "x"\n',
        "band.toml": survey_text(bands='K = "r"'),
        "tile.toml": survey_text(file="a_{band}.fits"),
        "regex.toml": survey_text(file="(?P<tile>a(?P<band>r)"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    fits.PrimaryHDU(np.zeros((4, 4), np.float32)).writeto(folder / "small.fits")
    shard = encode_shard(simulate_shard(DatasetSpec(n=2, seed=1), 0))
    create_if_absent(str(folder / "shards" / "shard-00000.parquet"), shard, "test")
    (folder / "notshard").mkdir()
    (folder / "notshard" / "a.parquet").write_text("no shard\n")
    (folder / "scanned" / "candidates").mkdir(parents=True)
    (folder / "scanned" / "candidates" / "undated.parquet").write_text("no shard\n")
