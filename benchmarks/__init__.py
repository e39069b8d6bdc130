"""What is fast, measured: each module prints its figures and says how to reproduce them."""
