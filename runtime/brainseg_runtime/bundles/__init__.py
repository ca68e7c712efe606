"""A bundle: a folder with a model and its manifest, golden vectors and signature.

- `manifest`: `manifest.json` as dataclasses. Another key is a field there, and a new schema.
- `bundle`: the folder, read once; every byte used later has been hashed against the manifest.
- `golden`: images with the answers that each variant must give.
- `signature`: who sealed it, checked against a public key.
"""
