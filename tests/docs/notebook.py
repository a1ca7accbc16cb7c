"""Execute docs/tutorial.ipynb in a folder, and store its outputs.

    python -m tests.docs.notebook

writes the notebook anew with the outputs of a run in a temporary folder. Paths of that folder are stored as `…`.
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.docs.pages import ONE_WORKER

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"
SECONDS_A_CELL = 300
SHELL = {"COLUMNS": "100", "OMP_NUM_THREADS": "1", **ONE_WORKER}
"""Variables for the commands of the notebook: plain text of one width, and one thread a process, as in the other tests."""
STRICT = """
import os, subprocess
os.environ.pop("FORCE_COLOR", None)

def _strict(command, shell=get_ipython()):
    done = subprocess.run(shell.var_expand(command, depth=1), shell=True, stdout=-1, stderr=-2, text=True)
    print(done.stdout, end="")
    done.check_returncode()

get_ipython().system = _strict
"""
"""A cell that lets `!command` raise if the command fails, and gives the command no terminal, so that it draws no bars."""


def read() -> NotebookNode:
    """Read the tutorial as it is stored."""
    return nbformat.read(TUTORIAL, as_version=4)


def execute(notebook: NotebookNode, folder: Path, *programs: Path) -> NotebookNode:
    """Execute every cell in `folder`, which the outputs name as `…`; commands are looked for in the folders `programs` first.

    Raises:
        CellExecutionError: a cell fails.
    """
    path = os.pathsep.join([*map(str, programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    notebook.cells.insert(0, nbformat.v4.new_code_cell(STRICT))
    client = NotebookClient(notebook, timeout=SECONDS_A_CELL, kernel_name="python3", record_timing=False)
    done = client.execute(cwd=str(folder), env={**os.environ, **SHELL, "PATH": path})
    del done.cells[0]
    for cell in code_cells(done):
        for output in cell.outputs:
            if "text" in output:
                output.text = output.text.replace(str(folder), "…")
    return done


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def as_markdown() -> str:
    """Return the text of the tutorial, with code cells as fenced blocks."""
    return "\n".join(f"```\n{cell.source}\n```" if cell.cell_type == "code" else cell.source for cell in read().cells)


def printed(cell: NotebookNode) -> str:
    """Return the text that a cell printed."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        notebook = execute(read(), Path(folder))
    nbformat.write(notebook, TUTORIAL)


if __name__ == "__main__":
    main()
