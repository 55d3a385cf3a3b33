"""Ways to break the product from outside, for tests of the checker: the product has no switch for it.

`opentelemetry-instrument` calls what an installed package declares as `opentelemetry_post_instrument`; a folder on
PYTHONPATH with the metadata of a package passes for one.
"""

from pathlib import Path


def environment(folder: Path, name: str) -> dict[str, str]:
    """Return what a service needs in its environment to be broken as the module *name* says."""
    metadata = folder / "sabotage-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: sabotage\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[opentelemetry_post_instrument]\nsabotage = {name}:apply\n")
    return {"PYTHONPATH": f"{folder}:{Path(__file__).parent}"}
