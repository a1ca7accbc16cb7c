"""Kinds of object that simulations draw and networks distinguish, and the components of their light."""

KINDS = ("nonlens", "single", "compound_arc", "double_ring")
"""Kinds of object; the index of a kind is its class index in a subclass vector."""

COMPONENTS = ("lens_light", "source1", "source2")
"""Noise-free images that a simulation may keep: the unlensed light without neighbours, and the lensed light of each source."""
