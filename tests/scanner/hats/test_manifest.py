"""The digest of a version is of its rows, whatever leaves hold them."""

from itertools import permutations

from scanner.hats.manifest import Leaf, Manifest, Part, content_of

ONE, OTHER = (Part(night=f"2026-11-2{i}", n_rows=i, sha256=f"{i}" * 64) for i in (4, 5))


def leaf(name, n_bytes, parts):
    return Leaf(pixel=7, name=name, n_bytes=n_bytes, sha256="", parts=parts)


APART = (
    leaf("a", 10, (ONE,)),
    leaf("b", 20, (OTHER,)),
)
TOGETHER = (leaf("all", 25, (ONE, OTHER)),)


def test_the_digest_ignores_how_nights_are_put_together():
    assert len({content_of(leaves) for leaves in (*permutations(APART), TOGETHER)}) == 1


def test_the_digest_changes_with_rows_pixels_and_nights():
    changed = [
        APART[:1],
        (APART[0], APART[1].model_copy(update={"pixel": 8})),
        *(
            (APART[0], APART[1].model_copy(update={"parts": (OTHER.model_copy(update=update),)}))
            for update in ({"sha256": "0" * 64}, {"n_rows": 9}, {"night": "undated"})
        ),
    ]
    assert len({content_of(APART), *map(content_of, changed)}) == 6


def test_a_version_counts_its_leaves():
    apart, together = (Manifest(version="v", created="", content="", nights={}, leaves=leaves) for leaves in (APART, TOGETHER))
    assert (apart.n_rows, apart.n_bytes, apart.pixels, apart.is_compact) == (9, 30, [7], False)
    assert (together.n_rows, together.n_bytes, together.is_compact) == (9, 25, True)
    assert together.leaves[0].path == "dataset/Norder=5/Dir=0/Npix=7/all.parquet"
