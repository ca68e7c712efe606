"""Studies made for tests: any array written as DICOM the way scanners and other software write it.

    uids       UIDs that are the same on every run
    shapes     arrays and grids: a small head, and the same voxels as an oblique, sagittal or coronal acquisition
    tags       headers of the three sequences, and of what a study holds besides
    series     one file a slice: `write_series`, `write_study`
    enhanced   one file a series: `write_enhanced`
    faults     what can be wrong with a series, as edits of its files
    syntaxes   the same files in another transfer syntax, by pydicom, gdcm or dcmtk
    nifti      the same arrays as NIfTI, by nibabel
    patients   a patient of the data set as volumes, for `write_study`
    readback   masks that dcmqi and SimpleITK read, on a grid

    from tests.studies_made.series import write_series
    from tests.studies_made.shapes import axial_grid, made_head
    from tests.studies_made.tags import FLAIR

    grid = axial_grid((12, 64, 64), spacing=(5.0, 2.0, 2.0))
    write_series(folder, made_head(grid).flair, grid, tags=FLAIR, shuffle=1)

A voxel's value is exact through every lossless way: what is read back equals what was given, in place.
"""
