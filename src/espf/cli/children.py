"""Child processes of ours: how to call this same program, with the same configuration."""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from espf.config import Config

ESPF = (sys.executable, "-m", "espf.cli.main")
"""This program, whatever the working directory and PATH are."""


def child_environment(config: "Config") -> dict[str, str]:
    """The environment of a child: ours, with the paths that a configuration file gave."""
    return {**os.environ, **config.environment, "PYTHONUNBUFFERED": "1"}
