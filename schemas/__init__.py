"""What goes over the wire: bodies, queries and answers of every resource, and their JSON."""
