"""What pages and command line do with runs: plan, submit, pair, compare. No streamlit, no torch, no SQL."""
