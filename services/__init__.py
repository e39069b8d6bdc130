"""The rules of the shop: what may happen, in which order, and what each refusal is called."""
