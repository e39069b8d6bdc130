"""Identity: who a caller is, what they may do, and what they did."""
