"""The names of the three splits, in the order in which every table and every figure has them."""

SPLITS = ("train", "validation", "test")  # the position is the number stored in the database
