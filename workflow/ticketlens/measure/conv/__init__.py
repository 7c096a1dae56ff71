"""The same measurements of convolutional networks, with torch."""
