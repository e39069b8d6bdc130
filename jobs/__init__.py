"""What the background process does: its tasks, their schedules, and the process around them."""
