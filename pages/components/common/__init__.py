"""Widgets and reads that several screens share."""
