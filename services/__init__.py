"""Shared by pages and command line: plan, submit, pair and compare runs. No streamlit, no torch, no SQL."""
