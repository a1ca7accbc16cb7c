"""Objects that the networks see alike in a catalogue, and how far a night has moved from the reference."""
