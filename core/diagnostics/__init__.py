"""What is questionable about one run: few samples, swinging weights, two corrections of one imbalance."""
