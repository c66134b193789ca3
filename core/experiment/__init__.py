"""What decides a run: its settings, recipe, baseline, TPRs and what is in force in each epoch."""
