"""What is questionable about one run: few samples, oscillating weights, double correction."""
