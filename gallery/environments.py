"""The Python environments that the scripts run in."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from gallery.entry import Instrumentation

REPOSITORY: Final = Path(__file__).parents[1]


def stock_environment() -> Path:
    """Have an environment with the stock instrumentations beside the workspace, and return its folder."""
    folder = REPOSITORY / ".stack" / "venv-stock"
    subprocess.run(
        [os.environ.get("UV", "uv"), "sync", "--quiet", "--frozen", "--group", "stock"],
        cwd=REPOSITORY,
        env=os.environ | {"UV_PROJECT_ENVIRONMENT": str(folder)},
        check=True,
    )
    return folder


def environments() -> dict[Instrumentation, Path]:
    """Have both environments: ours is the one that this process runs in."""
    return {Instrumentation.STOCK: stock_environment(), Instrumentation.OURS: Path(sys.prefix)}
