"""What Evenly stores: the database (runs, queue, per-epoch results) and the bytes of checkpoints. No streamlit, no torch."""
