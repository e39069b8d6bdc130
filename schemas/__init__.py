"""What goes over the wire: bodies, queries and responses of every resource, and their JSON."""
