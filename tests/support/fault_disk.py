"""A disk so small that it can be filled, and emptied again. Import it as `fault_disk`."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CHUNK = b"\0" * 65_536


class SmallDisk:
    """A file system of a few megabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no room at all."""
        with self._ballast.open("ab", buffering=0) as file:
            while True:
                try:
                    file.write(_CHUNK)
                except OSError:
                    return

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """A tmpfs of that size: it is full as any disk is, with ENOSPC. To mount one takes root."""
    folder = Path(tempfile.mkdtemp(prefix="espf-disk-"))
    options = f"size={megabytes}m,mode=0777"
    words = ["mount", "-t", "tmpfs", "-o", options, "espf-faults", str(folder)]
    if os.geteuid() or subprocess.run(words, check=False, stderr=subprocess.DEVNULL).returncode:
        folder.rmdir()
        pytest.skip("a disk of its own can be mounted, and filled, by root only")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)
