"""A bundle on disk: its manifest, its files checked against it, golden vectors, and the signature."""
