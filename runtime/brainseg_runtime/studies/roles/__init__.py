"""Which series is FLAIR, T1 before contrast and T1 after contrast, and why.

`wording` reads descriptions in four languages, `sequences` says what one series is, by its tags first, `contrast` tells
T1s before contrast from those after it, and `choice` gives out the roles of a study.

`contrast` is tested by `test_choice`.
"""
