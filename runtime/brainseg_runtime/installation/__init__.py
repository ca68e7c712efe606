"""Is this installation sound and how fast is it: `verify`, `doctor`, `bench`."""
