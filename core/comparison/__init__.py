"""Two runs side by side: pairs of seeds, means, the verdict, and what makes the comparison unfair."""
