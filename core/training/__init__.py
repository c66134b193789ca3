"""Training. Start reading at reference.py: the whole experiment as one plain loop."""
