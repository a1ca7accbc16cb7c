"""A file system of its own that is so small that a few files fill it."""

import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def small_disk(folder, option):
    """Mount a tmpfs with a mount option such as `size=256k` at a new folder; skip the test without the right to do so."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", option, "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def enlarge(folder, option):
    """Mount the tmpfs at a folder again, with another option."""
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)
