"""The list of files that could not be read, and the verdict on it: up to 1 % is left out, more refuses the dataset."""

from __future__ import annotations

from core.errors import DataError
from core.folder import shown

MAX_SHARE = 0.01
NAMED = 5  # how many are named in a refusal


class Skips:
    """Collects unreadable files of a set of `total` images. `add` refuses as soon as there are too many to go on."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.files: list[str] = []

    def add(self, name: str, reason: str) -> None:
        """Note a file and why. Stops early: once NAMED files are known and the share is exceeded, the rest cannot help."""
        self.files.append(f"{shown(name)}: {reason}")
        if len(self.files) >= NAMED:
            self.check()

    def check(self) -> None:
        """Raise DataError naming the first few where more than 1 % of the images are unreadable."""
        if len(self.files) <= MAX_SHARE * self.total:
            return
        more = "" if len(self.files) <= NAMED else " and more"
        raise DataError(
            f"at least {len(self.files):,} of {self.total:,} images cannot be read, at most {MAX_SHARE:.0%} may be: "
            f"{'; '.join(self.files[:NAMED])}{more}; repair or remove them"
        )
