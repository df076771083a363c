"""Disks of a few MiB, to be filled up by tests."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path


class MountError(Exception):
    """Why there is none; its text is for the reader."""


@contextlib.contextmanager
def small_disk_at(folder: Path, size_mib: int):
    """One in memory, at that folder, which is made; MountError where this user may not mount it."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "resvd-test", str(folder)],
        capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        raise MountError("a small disk cannot be mounted here (root is needed): "
                         + mounted.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
