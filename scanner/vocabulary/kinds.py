"""Kinds of object that simulations draw and networks tell apart, and the parts of their light."""

KINDS = ("nonlens", "single", "compound_arc", "double_ring")
"""Kinds of object; the index of a kind is its class in a subclass vector."""

COMPONENTS = ("lens_light", "source1", "source2")
"""Noise-free images that a simulation may keep: the unlensed light without neighbours, and each source as lensed."""
