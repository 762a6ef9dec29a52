"""What was learnt a moment ago, shared by everyone who asks."""
