"""A bundle: a model's folder with everything that is known about it.

- `manifest`: `manifest.json` as dataclasses. Another key is a field there, and a new schema.
- `bundle`: the folder, read once; every byte that is used later was hashed against the manifest.
- `golden`: images with the answers that each variant must give.
- `signature`: who sealed it, checked against a public key.
"""
