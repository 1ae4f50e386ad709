"""The models that come with Orchard."""

from pathlib import Path

MODELS = Path(__file__).parent / "models"


def shipped_models() -> dict[str, Path]:
    """Folders of the shipped models by name."""
    return {folder.name: folder for folder in sorted(MODELS.iterdir()) if folder.is_dir()}
