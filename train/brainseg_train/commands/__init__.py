"""What the sub-commands of `brainseg-train` do, and how they report it."""
