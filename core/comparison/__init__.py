"""Two runs side by side: pairs of seeds, means, the verdict, and what makes them no fair comparison."""
