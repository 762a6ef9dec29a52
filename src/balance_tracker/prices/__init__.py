"""What assets are worth, by one source each: no source knows another, none decides alone."""
