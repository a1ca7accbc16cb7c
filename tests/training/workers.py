"""Find the training workers of a process, so that tests can kill them, and the other processes of their run."""

from pathlib import Path


def train_workers(ancestor, wanted="TrainWorker"):
    """Return the process ids of the Ray Train workers, or of others with a name, that descend from a process."""
    parents = {}
    names = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:
            continue

    def is_below(pid):
        while pid > 1 and pid != ancestor:
            pid = parents.get(pid, 0)
        return pid == ancestor

    return [pid for pid, name in names.items() if wanted in name and is_below(pid)]
