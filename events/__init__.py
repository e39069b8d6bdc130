"""What happened in the shop, for those who want to be told: the order of reading, and who waits for news."""
