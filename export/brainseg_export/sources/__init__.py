"""What an export starts from: the chosen run, its patients, and where its data came from.

    kaggle_3m    whether slices are those of that set, by their pixels; tested by test_provenance
    run_choice   which run's weights become a bundle, and why
    provenance   what is known of the data: recognised, stated, or left open
    patients     slices of the validation patients to judge by, and training slices to calibrate on;
                 tested by test_export

A choice rests on the record of a study and on what the weights say of themselves; the next data set to be recognised is
a file beside `kaggle_3m` and a line in `provenance`.
"""
