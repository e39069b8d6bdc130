"""Programs that fill the shop through its HTTP interface, as any client would."""
