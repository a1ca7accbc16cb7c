"""Named conditions on the sources of a tile, and the columns of a tile's catalogue that candidates carry by default."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class SourcePreset:
    """A condition with a name."""

    condition: str
    reason: str


SOURCE_PRESETS: Mapping[str, SourcePreset] = MappingProxyType(
    {
        "lens-hosts": SourcePreset(
            "vis_det = 1 and spurious_prob < 0.2 and segmentation_area > 200 and flux_detection_total >= 3.63078 "
            "and mumax_minus_mag >= -2.6 and mu_max >= 15",
            "Galaxies that can be lenses, by the cuts `space_warps` of github.com/mwalmsley/bulk-euclid-cutouts: seen in VIS, "
            "hardly spurious, of more than 2 square arcsec, brighter than 22.5 mag (3.63 uJy), and no star by "
            "its peak of surface brightness",
        )
    }
)
"""Presets by name. The pipeline also leaves out sources with a Gaia star; `mumax_minus_mag` finds these without a column that
may be null."""

MER_COLUMNS = (
    "flux_detection_total",
    "flux_vis_psf",
    "flux_y_templfit",
    "flux_j_templfit",
    "flux_h_templfit",
    "vis_det",
    "flag_vis",
    "det_quality_flag",
    "spurious_flag",
    "point_like_prob",
    "mumax_minus_mag",
    "segmentation_area",
    "semimajor_axis",
    "kron_radius",
    "ellipticity",
    "phz_median",
)
"""Columns of Euclid's MER catalogue that unit files and candidates carry by default, where the tile's catalogue has them:
fluxes in microjansky, flags, sizes in pixels, and a photometric redshift if it was joined to the catalogue."""
