"""Kinds of object that simulations draw and networks distinguish, and the components of their light."""

KINDS = ("nonlens", "single", "compound_arc", "double_ring")
"""Kinds of object; the index of a kind is its class index in a subclass vector."""

KIND_WORDS = dict(
    zip(KINDS, ("no lens", "single lens", "compound lens with arcs", "compound lens with two rings"), strict=True)
)
"""Kinds in plain words."""

UNCHANGED = "unchanged"
"""Name of an object as it was drawn, among its changes in counterfactuals and bias probes."""

COMPONENTS = ("lens_light", "source1", "source2")
"""Noise-free images that a simulation may keep: the unlensed light without neighbours, and the lensed light of each source."""
