"""What the service says of itself: log lines, metrics, and what they must not contain."""
