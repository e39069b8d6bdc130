"""The way to RabbitMQ."""
