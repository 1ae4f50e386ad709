"""What one start of a server has written into its log."""

from dataclasses import dataclass
from pathlib import Path

_TAIL_BYTES = 2**18


@dataclass(frozen=True, slots=True)
class Log:
    """The part of a log file after its first ``begin`` bytes."""

    path: Path
    begin: int

    @classmethod
    def from_here(cls, path: Path) -> "Log":
        """What will be written from now on."""
        return cls(path, path.stat().st_size if path.exists() else 0)

    def read(self) -> str:
        """It, or the end of it where it is long."""
        with self.path.open("rb") as file:
            file.seek(max(self.begin, file.seek(0, 2) - _TAIL_BYTES))
            return file.read().decode(errors="replace")
