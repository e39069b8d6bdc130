"""What the shop writes to people: mails as text and HTML, and short messages, in the languages that the shop has."""
