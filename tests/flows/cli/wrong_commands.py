"""Wrong commands as users type them, and a text that the one line about each must hold."""

import shlex

import numpy as np
from astropy.io import fits

from infra.store.storage import create_if_absent
from scanner.sources.shards import encode_shard
from simulation.products.dataset import DatasetSpec, simulate_shard

TABLE = """
demo --out good.csv                                             | good.csv: is a file, must be a folder
demo --out good.csv/below                                       | good.csv is a file, must be a folder
demo --out                                                      | --out
demo --nosuch 3                                                 | --nosuch
demo extra                                                      | extra
simulate                                                        | --out
simulate --out                                                  | --out
simulate --out good.csv                                         | good.csv: is a file, must be a folder
simulate --out x --n 0                                          | --n
simulate --out x --n -3                                         | --n
simulate --out x --n 5.5                                        | 5.5
simulate --out x --n many                                       | many
simulate --out x --seed -1                                      | --seed
simulate --out x --seed one                                     | one
simulate --out x --preset moon                                  | moon
simulate --out x --geometry round                               | round
simulate --out x --kinds quasar                                 | kind must be one of nonlens, single
simulate --out x --kinds ""                                     | kind must be one of
simulate --out x --kinds single=-1                              | single
simulate --out x --kinds single=x                               | single
simulate --out x --kinds single=0                               | single
simulate --out x --preset wilde2022 --kinds spiral              | no look-alike but 'twin'
simulate --out x --preset wilde2022 --geometry mer10            | must be challenge or mer, got mer10
simulate --out x --psf missing.fits                             | missing.fits
simulate --out x --psf good.csv                                 | good.csv
simulate --out x --psf text.fits                                | text.fits
simulate --out x --textures missing.parquet                     | missing.parquet
simulate --out x --textures good.csv                            | good.csv: not a readable Parquet file
simulate --out x --textures shards/shard-00000.parquet          | is no file of `lensscan textures`
simulate --out x --textures x.parquet --preset wilde2022        | textures are for the presets euclid and broad
simulate --out x --workers 0                                    | --workers
simulate --out s3://                                            | s3://
simulate --out ftp://host/x                                     | ftp://
simulate --out shards --n 3 --seed 9                            | shard-00000
simulate x                                                      | x
inject                                                          | IMAGES
inject good.csv                                                 | --out
inject missing.csv --out x                                      | missing.csv
inject bad.csv --out x                                          | object_id
inject empty --out x                                            | no Euclid MER tile under
inject nosuch --out x                                           | nosuch
inject good.csv --out x                                         | 0 of 1 cutouts could host arcs; the first, 1: missing_file
inject good.csv --out good.csv                                  | good.csv
inject good.csv --out x --n 0                                   | --n
inject good.csv --out x --seed -1                               | --seed
inject good.csv --out x --psf missing.fits                      | missing.fits
textures                                                        | --out
textures --out x.parquet                                        | name at least one FITS file
textures small.fits                                             | --out
textures missing.fits --out x.parquet                           | missing.fits
textures text.fits --out x.parquet                              | text.fits
textures small.fits --out x.parquet                             | give one
textures small.fits --out x.parquet --pixel-scale 0.1           | at least 32 pixels a side, got the shape (4, 4)
textures small.fits --out x.parquet --pixel-scale 0             | --pixel-scale
textures small.fits --out x.parquet --seeing -1                 | --seeing
train                                                           | SHARDS
train shards                                                    | --out
train shards --out x                                            | --name
train shards --out x --name a/b                                 | a/b
train shards --out x --name lens --preset giant                 | giant
train shards --out x --name net                                 | objects
train shards --out good.csv --name net                          | good.csv
train empty --out x --name net                                  | empty
train nosuch --out x --name net                                 | nosuch
train shards --out x --name net --epochs 0                      | --epochs
train shards --out x --name net --epochs few                    | few
train shards --out x --name net --learning-rate 0               | --learning-rate
train shards --out x --name net --learning-rate -1              | --learning-rate
train shards --out x --name net --workers 0                     | --workers
train shards --out x --name net --start-from nosuch             | nosuch
evaluate                                                        | needs either shards, or --counterfactuals N
evaluate shards --counterfactuals 4                             | needs either shards, or --counterfactuals N
evaluate shards --probes 4                                      | needs either shards, or --counterfactuals N
evaluate --probes 0                                             | --probes
evaluate shards --strict                                        | --strict needs
evaluate --counterfactuals 0                                    | --counterfactuals
evaluate --counterfactuals 4 --ensemble nosuch                  | nosuch
evaluate empty --out x                                          | holds no shards
evaluate nosuch --out x                                         | nosuch
evaluate shards --ensemble nosuch                               | nosuch
evaluate good.csv --out x                                       | good.csv
evaluate notshard --out x                                       | not a readable Parquet shard
score                                                           | name a manifest, FITS files or a folder of them
score missing.csv --out x.parquet                               | missing.csv
score nosuch --out x.parquet                                    | nosuch
score bad.csv --out x.parquet                                   | object_id
score none.csv --out x.parquet                                  | none.csv
score twice.csv --out x.parquet                                 | twice
score noids.csv --out x.parquet                                 | object_id
score bands.csv --out x.parquet                                 | VIS
score good.csv --out x.parquet --ensemble nosuch                | nosuch
score good.csv --out x.parquet --ensemble empty                 | card.json
score good.csv --out x.txt                                      | x.txt
score good.csv --out good.csv                                   | not a file of scores
score good.csv --out good.csv/x.parquet                         | good.csv
score good.csv --out s3://bucket/x.parquet                      | s3://bucket/x.parquet
score good.csv --out empty                                      | empty
score good.csv --out x.parquet --batch-size 0                   | --batch-size
score good.csv --out x.parquet --batch-size x                   | x
score good.csv --out x.parquet --engine tpu                     | tpu
score good.csv --out x.parquet --nosuch                         | --nosuch
score s3://nobucket-lensscan/a.csv --out x.parquet              | s3://
score ftp://host/a.csv --out x.parquet                          | ftp://
scan                                                            | --out
scan --out cat                                                  | give either a folder or prefix of tiles, or --release
scan tiles --release q1 --out cat                               | give either a folder or prefix of tiles, or --release
scan --release q9 --out cat                                     | q9
scan tiles --tile 12,x --out cat                                | --tile: must be numbers of tiles
scan shards --tile 12 --out cat                                 | holds no Euclid MER tiles
scan tiles --tiles-from nosuch --out cat                        | nosuch: cannot be read
scan tiles --tiles-from text.fits --out cat                     | must hold the number of a tile in each line
scan tiles --region 1 2 --out cat                               | --region needs 3 values
scan tiles --region 1 2 x --out cat                             | --region
scan tiles --region 1 -95 1 --out cat                           | --region: dec_deg
scan shards --region 1 2 3 --out cat                            | holds no Euclid MER tiles
scan tiles --survey kids --out cat                              | no survey 'kids'; did you mean kids-dr4?
scan tiles --survey nosuch.toml --out cat                       | nosuch.toml: no such file
scan tiles --survey wrong.toml --out cat                        | wrong.toml: no TOML
scan tiles --survey short.toml --out cat                        | short.toml: needs the key bands
scan tiles --survey band.toml --out cat                         | unknown band K; the bands of the networks are VIS, Y
scan tiles --survey tile.toml --out cat                         | tile.toml: mosaics.file: must have {tile}, got 'a_{band}.fits'
scan tiles --survey regex.toml --out cat                        | mosaics.file: no regular expression: missing )
scan empty --survey kids-dr4 --out cat                          | is named like KiDS_DR4.0_{tile}_{band}_sci.fits
scan shards --survey kids-dr4 --out cat                         | it holds shard-00000.parquet
scan shards --survey rubin-dp1 --out cat                        | survey rubin-dp1: its description has no [catalogue]
scan --release q1 --survey kids-dr4 --out cat                   | --survey describes the tiles of a folder
plan shards --survey kidsdr4                                    | did you mean kids-dr4?
score good.csv --survey kids-dr4 --out x.parquet                | --survey needs --tiles
explain good.csv --survey nosuch --objects 1 --out x.png        | no survey 'nosuch'
inject empty --survey kids-dr4 --out x                          | no file of survey kids-dr4 is named like
surveys nosuch                                                  | no survey 'nosuch'
surveys band.toml                                               | unknown band K
scan shards --where "a > 1" --out cat                           | holds no Euclid MER tiles
scan shards --where "a >" --out cat                             | where: does not expect its end after a >
scan empty --where "" --out cat                                 | where: is empty
scan shards --moc nosuch.moc --out cat                          | MOC nosuch.moc: no such file
scan shards --moc text.fits --out cat                           | MOC text.fits: cannot be read at 'this'
scan shards --moc small.fits --out cat                          | MOC small.fits: holds no table, and so no MOC
scan shards --moc empty.moc --out cat                           | MOC empty.moc: covers no part of the sky
scan shards --moc beyond.json --out cat                         | order 3 has the cells 0 to 767, got 768
scan shards --moc north.moc --out cat                           | holds no Euclid MER tiles
scan shards --moc --out cat                                     | --moc
plan shards --moc empty.moc                                     | MOC empty.moc: covers no part of the sky
scan shards --targets nosuch.csv --out cat                      | positions nosuch.csv
scan shards --targets bad.csv --out cat                         | needs a column ra
scan shards --match-radius-arcsec 0 --out cat                   | --match-radius-arcsec
scan shards --match-radius-arcsec 61 --out cat                  | --match-radius-arcsec
scan shards --columns a,,b --out cat                            | --columns: must be different names
scan shards --columns a --out cat                               | holds no Euclid MER tiles
plan shards --where "read_csv(1) > 2"                           | there is no function read_csv()
plan shards --where "a; b"                                      | cannot be read at '; b'
scan empty                                                      | --out
scan empty --out cat                                            | empty
scan empty --out cat --night 2026-01-01                         | empty
scan nosuch --out cat --night 2026-01-01                        | nosuch: does not exist
scan good.csv --out cat                                         | is a file, not a folder of tiles
scan text.fits --out cat                                        | is a file, not a folder of tiles
scan shards --out good.csv                                      | good.csv
scan shards --out cat --night 2026-13-01                        | 2026-13-01
scan shards --out cat --night yesterday                         | yesterday
scan shards --out cat --night 2026-01-01T00:00                  | 2026-01-01T00:00
scan shards --out cat --ensemble nosuch                         | nosuch
scan shards --out cat --threshold 2                             | --threshold
scan shards --out cat --threshold -0.1                          | --threshold
scan shards --out cat --threshold high                          | high
scan shards --out cat --engine tpu                              | tpu
scan shards --out cat --maps 2000                               | --maps
scan shards --out cat --maps -1                                 | --maps
scan shards --out cat --workers 0                               | --workers
scan shards --out cat --ray-address nowhere                     | nowhere
scan shards --out cat --ray-address 127.0.0.1:9                 | 127.0.0.1:9
scan empty other --out cat                                      | other
scan tiles --outt x                                             | Did you mean
scan shards --out cat --publish-to cat                          | cat: the collection must lie outside the catalogue
scan shards --out cat --publish-to good.csv                     | good.csv: is a file, must be a folder
scan shards --out s3://                                         | s3://
scan notshard --out cat                                         | not a readable shard
plan                                                            | give either a folder or prefix of tiles, or --release
plan nowhere --tile 12                                          | nowhere: does not exist
plan nowhere                                                    | nowhere
plan empty                                                      | empty
plan good.csv                                                   | is a file, not a folder of tiles
plan shards --units 5                                           | --estimate
plan shards --estimate --units 0                                | --units
plan shards --estimate --workers 0                              | --workers
plan shards --engine tpu                                        | tpu
plan shards --ensemble nosuch                                   | nosuch
query                                                           | CATALOGUE
query nowhere                                                   | nowhere
query empty                                                     | empty
query good.csv                                                  | good.csv
query empty --min-p-lens 2                                      | --min-p-lens
query empty --min-p-lens x                                      | x
query empty --night 2026-02-30                                  | 2026-02-30
query empty --subclass spiral                                   | spiral
query empty --limit 0                                           | --limit
query empty --limit -1                                          | --limit
query empty --sql "select 1" --night 2026-01-01                 | either SQL or filters
query empty --sql "select 1" --subclass single                  | either SQL or filters
query empty --sql                                               | --sql
query s3://                                                     | s3://
query shards --cone 1 2                                         | --cone needs 3 values
query shards --cone 1 95 1                                      | --cone: dec_deg
query shards --out x.doc                                        | --out must be a file that ends in
query shards --fdr 2                                            | --fdr
query shards --fdr 0.1                                          | shards: no complete scan
query shards --fdr 0.1 --min-p-lens 0.5                         | no other condition than --night
report shards --fdr 0.1 --cone 1 2 3                            | no other condition than --night
yield                                                           | CATALOGUE
yield nowhere                                                   | nowhere
yield shards                                                    | shards: no complete scan
yield shards --night 2026-02-30                                 | 2026-02-30
yield shards --cut 2                                            | --cut
yield shards --cut many                                         | many
query shards --out good.csv                                     | exists; it is not replaced
query shards --out empty --overwrite                            | --out empty is a folder
query shards --out good.csv --overwrite                         | shards: no complete scan
export                                                          | CATALOGUE
export shards                                                   | FILE
export shards x.csv                                             | shards: no complete scan
export nowhere x.csv                                            | nowhere
export empty x.json                                             | empty
export shards x.doc                                             | FILE must be a file that ends in .parquet, .csv, .fits
export shards s3://bucket/x.csv                                 | FILE must be a local file, got s3://bucket/x.csv
export shards good.csv                                          | FILE good.csv exists; it is not replaced without --overwrite
export shards empty                                             | FILE empty is a folder, must be a file
export shards good.csv --overwrite                              | shards: no complete scan
export shards good.csv/x.csv                                    | good.csv
export shards x.csv --cone 1 2                                  | --cone needs 3 values
export shards x.csv --cone 1 95 1                               | --cone: dec_deg
export shards x.csv --top 0                                     | --top
export shards x.csv --plan a --all-plans                        | either one plan or all plans
export shards x.csv --sql "select 1"                            | --sql
report                                                          | CATALOGUE
report nowhere                                                  | nowhere
report empty                                                    | empty
report shards                                                   | shards: no complete scan
report shards --out x.pdf                                       | --out must be a file that ends in .html
report shards --out s3://bucket/x.html                          | --out must be a local file, got s3://bucket/x.html
report shards --out empty                                       | --out empty is a folder, must be a file
report shards --out good.csv/x.html                             | good.csv
report shards --top 0                                           | --top
report shards --top 501                                         | --top
report shards --top many                                        | many
report shards --night 2026-02-30                                | 2026-02-30
report shards --subclass spiral                                 | spiral
report shards --cone 1 95 1                                     | --cone: dec_deg
report shards --plan a --all-plans                              | either one plan or all plans
report shards --known good.csv --no-known                       | --known good.csv or --no-known, not both
diff                                                            | A: Folder or
diff shards                                                     | give a second catalogue, --plans P Q or --nights N M
diff shards empty --plans a b                                   | got a second catalogue and --plans
diff shards --plans a                                           | --plans needs 2 values
diff shards --plans a b --nights 2026-01-01 2026-01-02          | got --plans and --nights
diff shards --nights 2026-01-01 tomorrow                        | or undated, got tomorrow
diff shards --nights 2026-01-01 2026-01-02 --night 2026-01-01   | either --night, for both sides, or --nights
diff shards empty                                               | shards: no complete scan
diff shards --plans a b                                         | shards
diff shards empty --moved-by 0                                  | --moved-by
diff shards empty --rank-moved-by 0                             | --rank-moved-by
diff shards empty --radius-arcsec -1                            | --radius-arcsec
diff shards empty --out x.reg                                   | --out must be a table
diff shards empty --out x.doc                                   | --out must be a file that ends in
diff shards empty --report x.csv                                | --report must be a file that ends in .html
diff shards empty --out good.csv                                | exists; it is not replaced
diff shards empty --min-p-lens 2                                | --min-p-lens
export shards x.png                                             | shards: no complete scan
export shards x.png --top 401                                   | at most 400 candidates, got 401
export shards s3://bucket/x.png                                 | FILE must be a local file, got s3://bucket/x.png
query shards --out x.png                                        | --out must be a file that ends in
publish                                                         | CATALOGUE
publish shards                                                  | COLLECTION
publish shards x                                                | shards: shows no candidates
publish nowhere x                                               | nowhere: shows no candidates
publish shards shards                                           | shards: the collection must lie outside the catalogue
publish shards shards/x                                         | shards/x: the collection must lie outside the catalogue
publish shards good.csv                                         | good.csv: is a file, must be a folder
publish shards x --keep 0                                       | --keep
publish shards x --keep some                                    | some
publish shards s3://                                            | s3://
versions                                                        | COLLECTION
versions nowhere                                                | nowhere: holds no collection
rollback                                                        | COLLECTION
rollback nowhere                                                | nowhere: holds no collection
rollback nowhere 2026                                           | nowhere: holds no collection
crossmatch                                                      | CATALOGUE
crossmatch shards                                               | TABLE
crossmatch shards nosuch.csv                                    | nosuch.csv
crossmatch shards good.csv --radius-arcsec 0                    | --radius-arcsec
crossmatch shards good.csv --out x                              | --out must be a file that ends in
explain                                                         | --out
explain good.csv --out                                          | --out
explain good.csv --objects 1 --out x.txt                        | .png
explain good.csv --objects 1 --out empty                        | .png
explain good.csv --objects 7 --out x.png                        | 7
explain good.csv --objects 1 --out x.png                        | missing_file
explain missing.csv --objects 1 --out x.png                     | missing.csv
explain empty --objects 1 --out x.png                           | empty
explain nosuch --objects 1 --out x.png                          | nosuch
explain good.csv --objects 1 --out x.png --ensemble nosuch      | nosuch
explain good.csv --objects 1 --out x.png --networks nosuch      | nosuch
explain good.csv --objects 1 --out good.csv/x.png               | good.csv
explain good.csv --objects 1 --out x.png --steps 3              | --portrait
explain --portrait --out x.png --steps 0                        | --steps
explain --portrait --out x.png --objects 1                      | --objects
status                                                          | CATALOGUE
status nowhere                                                  | nowhere
status empty                                                    | empty
status s3://                                                    | s3://
completeness                                                    | CATALOGUE
completeness nowhere                                            | nowhere: no complete scan
completeness shards --n 0                                       | --n
completeness shards --n many                                    | many
completeness shards --seed -1                                   | --seed
completeness shards --units 0                                   | --units
completeness shards --night 2026-02-30                          | 2026-02-30
completeness shards --night undated                             | shards: no complete scan of night undated
completeness shards --out x.pdf                                 | --out must be a file that ends in .parquet
completeness shards --out good.csv                              | --out good.csv exists; it is not replaced
completeness shards --engine abacus                             | abacus
scan shards --out cat --completeness 0                          | --completeness
seal                                                            | CATALOGUE
seal empty                                                      | empty
seal empty --plan abc                                           | empty
reconcile                                                       | CATALOGUE
reconcile empty                                                 | empty
reconcile empty --night 2026-01-01 --plan abc                   | either a plan or a night
reconcile empty --night today                                   | today
verify                                                          | CATALOGUE
verify empty                                                    | empty
verify nowhere                                                  | nowhere
repair                                                          | CATALOGUE
repair empty                                                    | empty
repair nowhere                                                  | nowhere
models nosuch                                                   | nosuch
models show                                                     | NAME
models show nosuch                                              | nosuch
models show empty                                               | card.json
models import-published                                         | FOLDER
models import-published empty                                   | --name
models import-published empty --name x                          | OU_
models import-published nosuch --name x                         | nosuch
models import-published empty --name a/b                        | a/b
models import-published . --name ou7-sim                        | shipped
models check-maps                                               | SHARDS
models check-maps empty --ensemble mer3-sim                     | holds no shards
models check-maps shards --n 1                                  | --n
models check-maps shards --ensemble nosuch                      | nosuch
models combine                                                  | --natural
models false-positives                                          | SHARDS
models false-positives nosuch --out x                           | holds no shards
models false-positives . --out ./x                              | need a folder outside of
models false-positives a --out b --above 2                      | Must be <= 1
models combine --first mer3-sim --natural a --broad b --name x  | name at least one
models combine ou7-sim --first mer3-sim --natural a --broad b --name x | must be a package of one network
models combine nosuch --first mer3-sim --natural a --broad b --name x | nosuch
models combine ou7-sim --first mer3-sim --natural a --broad b --name ou7-sim | shipped
models nonlenses                                                | mer3-cascade is shipped and never changes
models nonlenses --ensemble nosuch                              | nosuch
models nonlenses --n 0                                          | --n
models nonlenses --seed -1                                      | --seed
models nonlenses --workers 0                                    | --workers
models restate                                                  | ENSEMBLE
models restate nosuch --name mine --prevalence 0.1              | nosuch
models restate mer3-sim --name mine                             | --prevalence
models restate mer3-sim --name mine --prevalence 1.5            | got 1.5
models restate mer3-sim --name mine --prevalence 0              | got 0
models restate mer3-sim --name mine --prevalence x              | x
models restate mer3-sim --name ou7-sim --prevalence 0.1         | shipped
models restate mer3-sim --name a/b --prevalence 0.1             | a/b
models restate mer3-sim --name m --prevalence 0.1 --compound-share 2 | got 2
query shards --sql "select 1" --grades                          | either --sql or --grades
query shards --grades                                           | shards: no complete scan
export shards x.csv --grades                                    | shards: no complete scan
votes show                                                      | CATALOGUE
votes show nowhere                                              | nowhere: holds no votes
votes show s3://                                                | s3://
votes merge                                                     | CATALOGUE
votes merge shards                                              | name CSV files, or catalogues that were graded
votes merge shards good.csv                                     | shards: no catalogue
votes write shards                                              | FILE
votes write shards x.csv                                        | shards: holds no votes
votes write shards x.doc                                        | FILE must be a file that ends in
votes write shards x.parquet --acts                             | with --acts, FILE must end in .csv
votes write shards good.csv                                     | exists; it is not replaced
reproduce wilde2022 --n 0                                       | --n
reproduce wilde2022 --seed -1                                   | --seed
reproduce wilde2022 --steps 0                                   | --steps
reproduce wilde2022 --out good.csv                              | good.csv
reproduce wilde2022 --out x --ensemble nosuch                   | nosuch
reproduce wilde2022 --out x --ensemble mer3-sim                 | must have the paper's networks
reproduce wilde2022 --out x --published empty                   | OU_J_Weights.pt: missing
reproduce wilde2022 --out x --compound empty                    | needs a manifest.csv
reproduce wilde2022 --out x --compound nosuch                   | nosuch
zooniverse export                                               | CATALOGUE
zooniverse export shards                                        | FOLDER
zooniverse export shards x                                      | shards: no complete scan
zooniverse export shards s3://bucket/x                          | FOLDER must be a local folder, got s3://bucket/x
zooniverse export shards x --top 0                              | --top
zooniverse import shards                                        | FILE
zooniverse import shards nosuch.csv                             | nosuch.csv: no such file
zooniverse import shards good.csv                               | shards: no catalogue
zooniverse import shards good.csv --answer Lens                 | --answer must be like 'Not a lens=X'
zooniverse import shards good.csv --answer Lens=D               | with a grade A, B, C, X, got 'Lens=D'
vet                                                             | CATALOGUE
vet empty                                                       | no complete scan
vet empty --grader "a b"                                        | --grader must be 1 to 64 letters
vet empty --top 0                                               | --top
vet empty --port 70000                                          | --port
vet empty --port x                                              | --port
vet empty --gold -1                                             | --gold
vet empty --seed one                                            | --seed
vet empty --static x.csv                                        | --static must be an HTML file
vet empty --static good.csv/x.html                              | good.csv
vet empty --min-p-lens 2                                        | --min-p-lens
nosuch                                                          | nosuch
scann tiles                                                     | scann
--nosuch                                                        | --nosuch
"""
"""A command a line, and after the bar a text that the message must hold."""

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
    for line in TABLE.strip().splitlines():
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
        "bad.csv": "id,VIS\n1,a.fits\n",
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
