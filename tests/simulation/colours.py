"""Colours of components."""


def vis_minus_h(sed):
    """Return VIS - H in AB magnitudes."""
    return sed.vis_mag - sed.h_mag
