"""What determines a run: settings, recipe, baseline, TPRs and the terms of each epoch."""
