"""Studies: from a scanner's DICOM or a researcher's NIfTI to a mask in the scanner's own geometry.

from brainseg_runtime.studies import read_study, segment_study

study = read_study("PATH")  # series, roles, geometry, and why
result = segment_study(segmenter, study)  # .mask on FLAIR's own grid, .volume_ml, .registration, .warnings
result.write("OUT", kinds=("seg", "sr", "sc", "nifti"))
"""
