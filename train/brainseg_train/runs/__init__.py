"""One training run: `fit`, its records, and how it resumes."""
