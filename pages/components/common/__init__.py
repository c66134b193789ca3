"""Widgets and database reads shared by several screens."""
