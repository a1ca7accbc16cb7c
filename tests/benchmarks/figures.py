"""Every figure of `results.json`: the part that measures it, its unit, and its meaning."""

from collections.abc import Iterable
from dataclasses import dataclass

PER_S = "cutouts/s"


@dataclass(frozen=True)
class Figure:
    name: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Group:
    """A table of the report."""

    part: str
    title: str
    about: str
    figures: tuple[Figure, ...]


ENSEMBLES = {"flagship": "`mer3-cascade`", "seven": "`ou7-sim`"}


def _of_both(name: str, unit: str, meaning: str) -> list[Figure]:
    return [Figure(f"{name}_{short}", unit, f"{ensemble}: {meaning}") for short, ensemble in ENSEMBLES.items()]


def _group(part: str, title: str, about: str, *figures: Figure | Iterable[Figure]) -> Group:
    flat = [one for some in figures for one in ([some] if isinstance(some, Figure) else some)]
    return Group(part, title, about, tuple(flat))


LIMIT = _group(
    "scan",
    "The limit of the machine, and the scan",
    "The limit is the rate of the networks alone, on inputs held in memory, with the scan's engine and the precision of its"
    " sweep. It is the better of two layouts: one process with all threads, or one process per core with one thread each;"
    " every network of `mer3-cascade` uses the best batch size of 8, 64 and 256, of `ou7-sim` of 8, 32 and 64. The limit"
    " scores no row twice, whereas the scan scores again"
    " in float32 every row that could be a candidate, and one row in 128. Each network of the cascade runs on the share of the"
    " rows that it scores in a scan, if that is at least one in fifty. A scan's rate is its committed rows over the time"
    " from the common start of all actors, started and warm, until the last ends; its files come from the system's cache."
    " Limits and scans are measured in turns, and a ratio is the median of the rounds' ratios.",
    _of_both("limit_per_s", PER_S, "the limit: the larger of the next two"),
    _of_both("limit_one_process_per_s", PER_S, "one process, all threads"),
    _of_both("limit_process_a_core_per_s", PER_S, "one process per core, one thread each, all at once"),
    _of_both("limit_float32_per_s", PER_S, "the same limit in float32"),
    [
        figure
        for layout, said in (("one_process", "one process"), ("process_a_core", "one process per core"))
        for figure in _of_both(f"limit_float32_{layout}_per_s", PER_S, f"{said} in float32, if the sweep is not")
    ],
    _of_both("tiles_per_s", PER_S, "a scan of tiles, default settings without maps, one actor per core"),
    _of_both("shards_per_s", PER_S, "the same scan of shards"),
    _of_both("tiles_one_actor_per_s", PER_S, "the same scan of tiles with one actor that has all threads"),
    _of_both("tiles_alone_per_s", PER_S, "one of the actors of `tiles_per_s`, on one core, while the others wait"),
    Figure("tiles_exact_per_s_seven", PER_S, "`ou7-sim`: scan of tiles in float32 throughout (`--exact`), one actor per core"),
    _of_both("tiles_over_limit", "ratio", "tiles over the larger limit of the round"),
    _of_both("shards_over_limit", "ratio", "shards over the larger limit of the round"),
    Figure(
        "tiles_exact_over_limit_float32_seven",
        "ratio",
        "`ou7-sim`: tiles in float32 throughout over the larger float32 limit of the round",
    ),
    _of_both("actors_over_one_alone", "ratio", "tiles with one actor per core, over one of these actors that works alone"),
    Figure("actors_over_one_alone", "ratio", "the smaller of the two"),
)
PAPER = _group(
    "scan",
    "The paper's loop",
    "The seven networks of `ou7-sim` on the same kind of stamps, the loop on the first stamps of one tile, the scan on all "
    "tiles. The loop reads four FITS files per object and uses scikit-image and eager float32 torch in batches of 64; the scan"
    " of tiles has one actor per core. The loop runs in one process with all threads, and in one process per core with one "
    "thread each, which divide the stamps among them; the fastest of the four loops counts. All are warm and run in turns.",
    Figure("paper_loop_per_s", PER_S, "the loop as the paper's code is written: contiguous tensors, one process"),
    Figure("paper_loop_process_a_core_per_s", PER_S, "contiguous tensors, one process per core"),
    Figure("paper_loop_channels_last_per_s", PER_S, "tensors in `channels_last`, which is faster on CPUs, one process"),
    Figure("paper_loop_channels_last_process_a_core_per_s", PER_S, "tensors in `channels_last`, one process per core"),
    Figure("over_paper_loop", "ratio", "`tiles_exact_per_s_seven` over the fastest of the four loops: both in float32"),
    Figure("over_paper_loop_as_written", "ratio", "the same over the loop as written: contiguous tensors, one process"),
    Figure(
        "over_paper_loop_bfloat16", "ratio", "`tiles_per_s_seven` over the fastest loop: the sweep in bfloat16 against float32"
    ),
    Figure(
        "paper_loop_largest_difference",
        "probability",
        "largest difference of a score in the catalogue of a scan in float32 throughout from the loop's, on the same stamps",
    ),
    Figure(
        "paper_loop_largest_difference_bfloat16",
        "probability",
        "the same for the rows that the catalogue of a scan with default settings marks `bfloat16`",
    ),
)
COST = _group(
    "scan",
    "The cost of a cutout, product by product",
    "Cores times time per cutout, warm, every product as a user would run it. Products have different networks and are not"
    " measured in the same turns, so no ratio of them is given.",
    Figure(
        "core_ms_per_cutout_lensscan_default",
        "core ms",
        "`lensscan scan` with its default ensemble, three small networks, and maps for the candidates, 1 % of the rows",
    ),
    Figure(
        "core_ms_per_cutout_lensscan_seven", "core ms", "`lensscan scan` with the paper's architecture `ou7-sim`, without maps"
    ),
    Figure("core_ms_per_cutout_paper_loop", "core ms", "the fastest of the paper's loops with the same seven networks"),
)
PEERS = _group(
    "peers",
    "Ray Data and Hyrax",
    "The seven published networks on the same cutouts; the peers compute in float32. Warm rates compare each peer's own steady "
    "rate (Ray Data: rows after the first batch over the time from its end to the end of the last; Hyrax: its evaluation "
    "loop) with our actors once started and warm. Rates with start compare whole commands, from the shell to their end. Our "
    "runs scan shards with 1 % candidates and without maps.",
    Figure("n_peers_cutouts", "cutouts", "number of cutouts: the fewer, the larger the share of the start"),
    Figure("ray_data_batch", "cutouts", "Ray Data's batch size: of 8, 16, 64 that with the fastest whole command in a trial"),
    Figure("hyrax_batch", "cutouts", "Hyrax's batch size, chosen in the same way"),
    Figure("ray_data_per_s", PER_S, "Ray Data, warm"),
    Figure("hyrax_per_s", PER_S, "Hyrax, warm"),
    Figure("ours_on_peers_cutouts_per_s", PER_S, "ours, float32, warm"),
    Figure("ours_on_peers_cutouts_per_s_bfloat16", PER_S, "ours, default settings with the sweep in bfloat16, warm"),
    Figure("ray_data_with_start_per_s", PER_S, "Ray Data, whole command"),
    Figure("hyrax_with_start_per_s", PER_S, "`hyrax infer`, whole command"),
    Figure(
        "ours_on_peers_cutouts_with_start_per_s",
        PER_S,
        "`lensscan scan --exact`, whole command, including Ray, plan, commits and seal",
    ),
    Figure("ours_on_peers_cutouts_with_start_per_s_bfloat16", PER_S, "`lensscan scan`, whole command"),
    [
        figure
        for peer, said in (("ray_data", "Ray Data"), ("hyrax", "Hyrax"))
        for figure in (
            Figure(f"over_{peer}", "ratio", f"ours over {said}: warm, both in float32"),
            Figure(f"over_{peer}_bfloat16", "ratio", f"ours over {said}: warm, our sweep in bfloat16 against float32"),
            Figure(f"over_{peer}_with_start", "ratio", f"ours over {said}: whole commands, both in float32"),
            Figure(
                f"over_{peer}_with_start_bfloat16",
                "ratio",
                f"ours over {said}: whole commands, our sweep in bfloat16 against float32",
            ),
            Figure(f"core_ms_per_cutout_{peer}", "core ms", f"{said}, warm: cores times time per cutout"),
        )
    ],
)
STAGES = _group(
    "scan",
    "Other costs of a scan",
    "One scanner or one actor; the flagship on tiles as above, 20 small tiles for memory.",
    _of_both("ms_read_and_cut", "core ms", "time to read and cut one cutout from a tile"),
    _of_both("ms_prepare_inputs", "core ms", "time to resize and scale one cutout for the networks that see every row"),
    _of_both("ms_read_cut_and_prepare", "core ms", "the two together, which every row needs"),
    Figure("copy_gb_per_s", "GB/s", "bytes read and written when one core copies 256 MB"),
    Figure(
        "ms_memory_floor_flagship",
        "core ms",
        "`mer3-cascade`: the same for a cutout if only memory took time, at that rate: the mosaic's pixels read and written"
        " once, the stamp's written once and read twice, the inputs written once",
    ),
    _of_both("ms_publish", "ms", "time to publish one row"),
    Figure(
        "ledger_overhead",
        "share",
        "time that the commit protocol (checks, digests, syncs, seal) adds to scanning and writing tables to plain files",
    ),
    Figure("tiles_without_maps_per_s", PER_S, "tiles, with the threshold that one row in a hundred reaches, without maps"),
    Figure("tiles_with_maps_per_s", PER_S, "the same with maps for all candidates"),
    Figure(
        "maps_overhead",
        "share",
        "time that these maps add, over the time of a scan with default settings without maps; in turns",
    ),
    Figure("small_tiles_one_actor_per_s", PER_S, "small tiles, one actor with all threads"),
    Figure("last_ten_units_over_first_ten", "ratio", "rate of the later half of its units over that of the earlier half"),
    Figure("rss_mb_units_11_to_20", "MB", "largest resident memory after units 11 to 20"),
    Figure("rss_growth_200_units", "share", "growth of the resident memory until the last ten of 200 units; once"),
    Figure("peak_rss_mb", "MB", "peak resident memory of that process; once"),
)
FULL_TILE = _group(
    "full_tile",
    "A whole tile",
    "19 200 pixels a side in four bands with 17 857 sources, `mer3-cascade`, one thread, no maps, from the system's cache.",
    Figure("core_s_full_tile", "core s", "time to scan the tile"),
    Figure("peak_rss_gb_full_tile", "GB", "peak resident memory"),
)
NIGHT_COST = _group(
    "night_cost",
    "The networks' work on a natural night",
    "Simulated tiles of 2000 galaxies, each with one lens, and `mer3-cascade` with default settings. A quarter of the galaxies"
    " are as bright as the galaxies of lenses, and the others follow the counts of the field. The networks' work is counted"
    " once; the scans, with one actor per core, take turns.",
    Figure("night_rows", "rows", "galaxies and lenses"),
    Figure("night_share_beyond_first_stage", "share", "rows that the first stage cannot exclude"),
    Figure(
        "night_share_beyond_early_exit",
        "share",
        "rows that the early exit cannot exclude either: the committee scores them",
    ),
    Figure(
        "night_mflop_per_cutout",
        "MFLOP",
        "multiply-adds of the networks, times two, for a row in the mean; rows that are scored again in float32 count once",
    ),
    Figure(
        "night_share_of_candidate_network",
        "share",
        "rows to which the committee gives a `p_lens` from which on the candidate network looks",
    ),
    Figure("night_share_of_candidates", "share", "rows to which the committee gives at least the default cut"),
    Figure("night_per_s_flagship", "rows/s", "scan of these tiles, from the files to the committed rows, without maps"),
    Figure("night_per_s_before", "rows/s", "the same with `mer3-sim`, the default before the cascade"),
    Figure("night_flagship_over_before", "ratio", "`mer3-cascade` over `mer3-sim`"),
)
SIMULATION = _group(
    "simulation",
    "Simulation",
    "Complete four-band MER stamps. Actors are started and warm, begin at the same time, and write the same number of whole "
    "shards; the time runs until the last ends.",
    Figure("simulate_per_s", "stamps/s", "one process, nothing written"),
    Figure("simulate_1_actors_per_s", "stamps/s", "one actor"),
    Figure("simulate_2_actors_per_s", "stamps/s", "two actors"),
    Figure("simulate_two_actors_over_one", "ratio", "two actors over one"),
    Figure("resize_over_skimage", "ratio", "scikit-image's time over ours, 64 images from 66 to 200 pixels"),
)
TRAINED = {
    "equivariant": "`equivariant-sky`",
    "compact": "`compact-sky`",
    "light": "`light`",
    "ou66": "the paper's OU-66",
    "ou200": "the paper's OU-200",
}
TRAINING = _group(
    "training",
    "Training on a CPU",
    "Networks of `mer3-cascade` and of the paper, steps of 64 objects, all threads, in bfloat16 where that is faster:"
    " normalisation, ReLU and pooling, or ReLU, pooling and dropout, in one compiled pass beside torch's layers, in turns.",
    *(
        (
            Figure(f"train_per_s_{short}", "objects/s", f"{name}: in one pass"),
            Figure(f"train_torch_per_s_{short}", "objects/s", f"{name}: torch's layers"),
            Figure(f"train_over_torch_{short}", "ratio", f"{name}: the first over the second"),
        )
        for short, name in TRAINED.items()
    ),
)
NETWORKS = {"ou200": "OU-200", "ou66": "OU-66", "compact": "compact"}
OCCLUSION = _group(
    "maps",
    "Occlusion maps compared with captum's",
    "One image, masks side by side, the same network and threads, in turns.",
    [Figure(f"occlusion_s_{key}", "s", f"{name}: our map") for key, name in NETWORKS.items()],
    [Figure(f"occlusion_over_captum_{key}", "ratio", f"{name}: captum's time over ours") for key, name in NETWORKS.items()],
    [
        Figure(f"occlusion_largest_difference_{key}", "logit", f"{name}: largest difference of the maps")
        for key, name in NETWORKS.items()
    ],
)
KINDS = {"guided": "Guided Grad-CAM", "occlusion": "occlusion"}
TRUTHS = {"": "", "_contrast_half": "; arcs are only where lensed light is at least half"}
WHOSE = {"": "the object's own arc", "_of_others_arcs": "another object's arc"}


def _of_flagship() -> Iterable[Figure]:
    for kind, said in KINDS.items():
        for truth, strictly in TRUTHS.items():
            for trained, which in (("", "trained"), ("_randomised", "never trained, mean")):
                for whose, arc in WHOSE.items():
                    yield Figure(
                        f"hits_{kind}_flagship{trained}{whose}{truth}", "share", f"{said}, {which}: hits {arc}{strictly}"
                    )
            yield Figure(f"hits_{kind}_of_the_middle{truth}", "share", f"the middle of the stamp instead of {said}{strictly}")
            yield Figure(f"hits_at_random_{kind}{truth}", "share", f"a random place instead of {said}{strictly}")


def _of_networks() -> Iterable[Figure]:
    for which in ("least", "mean"):
        for kind, said in KINDS.items():
            for trained, weights in (("trained", "trained"), ("randomised", "never trained")):
                for whose, arc in WHOSE.items():
                    name = f"hits_{kind}_{trained}{whose}_{which}"
                    yield Figure(name, "share", f"{said}, {weights}, {which} of the single networks: hits {arc}")
        yield Figure(
            f"relevance_mass_guided_trained_{which}", "share", f"Guided Grad-CAM that lies on the arc, {which} of the networks"
        )
        yield Figure(
            f"rank_correlation_guided_randomised_{which}",
            "correlation",
            f"Guided Grad-CAM, trained against never trained, {which}",
        )


def _stored() -> Iterable[Figure]:
    whats = {
        "hits": "trained: hits the object's own arc",
        "hits_of_others_arcs": "trained: hits another object's arc",
        "hits_randomised": "never trained, mean: hits the object's own arc",
        "hits_randomised_of_others_arcs": "never trained, mean: hits another object's arc",
        "hits_of_the_middle": "the middle of the map instead",
        "hits_at_random": "a random cell instead",
    }
    for kind, said in KINDS.items():
        for what, meaning in whats.items():
            yield Figure(f"stored_{kind}_{what}", "share", f"{said}, {meaning}")


def _each_source() -> Iterable[Figure]:
    for kind, said in KINDS.items():
        for number in (1, 2):
            name = f"stored_{kind}_hits_source{number}"
            yield Figure(name, "share", f"{said}: hits the arcs of source {number}")
            yield Figure(f"{name}_by_others_maps", "share", f"{said} of another object: hits the arcs of source {number}")


MEANING = _group(
    "maps",
    "Do maps point at arcs? The committee of `mer3-cascade` together",
    "A map hits an arc if the highest pixel of the sum over its networks lies on it, or within 0.2″ (Guided"
    " Grad-CAM) or half a mask (occlusion) of it; objects are simulated lenses with arcs of S/N above 40. Nothing is random,"
    " so there is one run. Mask size and the explained output were chosen by this measure, and networks and objects come from"
    " one simulator.",
    Figure("n_bright_lenses", "lenses", "objects"),
    Figure("n_bright_lenses_contrast_half", "lenses", "objects that have an arc by the stricter truth"),
    _of_flagship(),
)
MEANING_OF_NETWORKS = _group("maps", "Do maps point at arcs? Network by network", "As above.", _of_networks())
STORED = _group("maps", "Do the maps in catalogues point at arcs?", "As above, in the cells that are stored.", _stored())
EACH_SOURCE = _group(
    "maps",
    "Do maps of compound lenses point at each source's arcs?",
    "Simulated compound lenses whose sources both have arcs of S/N above 40. A map hits a source if its highest cell, without"
    " those on the other source's arcs alone, lies on the source's own arcs; source 2 is the farther one.",
    Figure("n_compound_both_bright", "lenses", "objects"),
    _each_source(),
)
GROUPS = (
    LIMIT,
    PAPER,
    COST,
    PEERS,
    STAGES,
    FULL_TILE,
    NIGHT_COST,
    SIMULATION,
    TRAINING,
    OCCLUSION,
    MEANING,
    MEANING_OF_NETWORKS,
    STORED,
    EACH_SOURCE,
)
PARTS = {figure.name: group.part for group in GROUPS for figure in group.figures}
"""Maps each figure to the part that measures it."""


def part_of(key: str) -> str | None:
    """Return the part that measures a figure, or the least or most of its rounds; None if no part measures it."""
    for name in (key, key.removesuffix("_least"), key.removesuffix("_most")):
        if name in PARTS:
            return PARTS[name]
    return None
