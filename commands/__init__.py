"""What cli.py answers with: its commands, what they read from their options and what they print."""
