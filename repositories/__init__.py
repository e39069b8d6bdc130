"""All SQL of the shop."""
