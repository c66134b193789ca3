"""Figures from integer counts, their intervals and their names."""
