"""What is written of a segmented study: DICOM objects, NIfTI files, pictures, and a record.

From the ground up:

    segmented           what the writers need of a result; tested by `test_writing`
    settings            label and codes of the segment
    uids                new UIDs, or UIDs derived from the content
    about               what each object says of the model
    colours             CIELab, as DICOM stores colours
    contours            outlines of masks, with holes, and the longest axis
    source_header       patient and study of the source, repaired
    predecessor         the earlier report that a result replaces; tested by `test_worker`
    dicom_object        what all written objects share; tested by `test_seg` and `test_source_header`
    seg                 SEG
    sr                  SR, TID 1500
    rtstruct            RT structure set
    nifti               mask and probability as NIfTI
    pictures            upright slices with outlines and letters
    preview             the overview of a study
    secondary_capture   pictures as DICOM
    record              `study.json`; tested by `test_writing`
    writing             all of them into the study's folder

The way: `writing` reads the source's header, gives each writer what it needs, and puts the bytes in place at once. A
further kind of output is a module here that returns bytes or a dataset, and its name in `writing.KINDS`.
"""
