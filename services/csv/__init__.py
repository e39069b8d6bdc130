"""Rows of the shop from and to CSV files, by the rules that hold for the API."""
