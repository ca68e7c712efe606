"""Generated patients in the layout of `kaggle_3m`, so that every step runs where the real set is not at hand.

`anatomy` draws a head, `patients` images it with four scanners and writes the files; `dicom` writes the same patients
as studies. A new tissue, lesion or look-alike is a few lines in `anatomy`, which `test_patients.py` tests too; a new
scanner is an entry in `patients.SCANNERS`.
"""
