"""The T1s brought onto FLAIR's grid.

`resampling` puts a volume on another grid, `similarity` measures how well two volumes fit, `rigid` finds the motion
under which they fit best, and `alignment` does this for a study's T1s and refuses those that do not fit.
"""
