"""Sphinx settings of the documentation; `make docs` builds it, and a warning is an error."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.generate import write_reference

project = "lensscan"
copyright = "the lensscan developers"  # noqa: A001
extensions = ["myst_nb"]
html_theme = "furo"
html_title = "lensscan"
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# The tests execute the notebook; the pages show the outputs that it was saved with.
nb_execution_mode = "off"

write_reference(Path(__file__).parent / "reference")
