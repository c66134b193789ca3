"""The three splits: their names, and how a run draws them unless it is told otherwise."""

# In the order in which every table and every figure has them; the position is the number stored in the database
SPLITS = ("train", "validation", "test")
DEFAULT_VALIDATION = 0.1  # share of the training data held out
PROFILES = ("exponential", "step")  # of a long tail, the first unless another is chosen
