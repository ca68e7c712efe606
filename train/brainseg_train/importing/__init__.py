"""Studies with masks made into a data set: DICOM or NIfTI to folders of slices, through the frame of the runtime.

`planes` puts a mask, read as planes in the patient, on a series' grid; `segmentation` reads a DICOM SEG into planes and
`nifti_mask` a NIfTI file; `finding` tells which mask belongs to which study. `naming` gives patients' folders names
that tell nobody who the patient is. `patient` makes one study into slices and writes them, `record` keeps what was
imported, and `studies` goes through all of them.

`segmentation`, `nifti_mask`, `finding`, `naming`, `patient`, `record` and `studies` are tested by `test_import`.
"""
