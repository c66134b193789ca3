"""Where the TPRs of a run may come from."""

from __future__ import annotations

TRAIN_FIRST, GIVEN, NOTHING, OTHERS = "first", "given", "nothing", "others"
