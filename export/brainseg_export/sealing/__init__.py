"""What goes into a bundle, and the bundle written whole."""
