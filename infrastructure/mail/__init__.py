"""The way of mails out of the shop: to a mail server, or into files where there is none."""
